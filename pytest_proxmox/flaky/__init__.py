"""Flaky tests handled honestly: which failures are tried again, what every attempt was."""
