"""Similar images."""
