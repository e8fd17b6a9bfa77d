"""Databases for tests: one per worker, isolated whatever the code under test commits."""
