"""A small shop: orders are committed, refused and noted in the background."""
