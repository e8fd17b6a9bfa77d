"""Passwords, tokens and sealed values."""
