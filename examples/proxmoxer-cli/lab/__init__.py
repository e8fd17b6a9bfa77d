"""Containers of a small lab, by command line."""
