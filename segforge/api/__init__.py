"""Each command as a function; `segforge` itself offers them by name."""
