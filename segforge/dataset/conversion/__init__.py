"""Data sets as people keep them, made into raw data sets."""
