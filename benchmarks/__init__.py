"""Benchmarks: each a ratio against a named peer or floor, measured in alternating pairs."""
