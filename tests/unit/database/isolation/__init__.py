"""The behaviours that docs/explanation/database-isolation.md lists, each on every variant."""
