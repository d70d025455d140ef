"""Bundles: what training writes and serving reads."""
