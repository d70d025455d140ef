"""What can be wrong with data."""


class DataError(RuntimeError):
    """The data cannot be found, or a file is not what it should be; the text says which and what to do."""
