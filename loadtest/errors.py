"""What keeps a load test from being run."""


class LoadTestError(RuntimeError):
    """The test could not be run; its text says why."""
