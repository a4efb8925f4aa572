"""The raw data set: its description, labels, cases and folds."""
