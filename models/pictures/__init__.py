"""From a file's bytes to the model's input: the one code that training and serving both call."""
