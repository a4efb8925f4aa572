"""Image files to arrays with their geometry, and back."""
