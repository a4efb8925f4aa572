"""What spans folds and configurations: validation, cross-validation, and the choice of the best."""
