"""What stops a comparison."""


class CompareError(RuntimeError):
    """The comparison could not be run; its text says why and what helps."""
