"""From a data set's fingerprint to the plans of the whole experiment."""
