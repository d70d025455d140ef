"""The laboratory: measures the method. Nothing outside imports it, and no run depends on it."""
