"""Random views of images, for learning that they show the same."""
