"""What is wrong with a person's pictures and labels, told before anything is trained: `python -m training.check`."""
