"""Networks from their description, their weights on disk, and the folder that a model is."""
