"""Raw cases to normalized, resampled arrays in a store that trainings map into memory."""
