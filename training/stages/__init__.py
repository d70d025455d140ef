"""The stages of a training; none imports another."""
