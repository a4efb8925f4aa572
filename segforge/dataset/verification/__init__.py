"""Every problem of a raw data set at once, each with its remedy."""
