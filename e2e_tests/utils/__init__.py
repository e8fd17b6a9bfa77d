"""What the plan calls utilities."""
