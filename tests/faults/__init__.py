"""What hostile clients, broken models and full machines do to a real service: `python -m tests.faults`."""
