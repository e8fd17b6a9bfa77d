"""What a test must not leave behind: found at its end, blamed on it, with the place of creation."""
