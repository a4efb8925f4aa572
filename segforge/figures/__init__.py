"""Arrays and numbers to pictures."""
