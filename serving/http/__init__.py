"""HTTP: all that knows requests, status codes and the framework."""
