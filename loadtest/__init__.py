"""Load on the service over HTTP, by Locust; imports neither serving nor training."""
