"""The reference app's database, tested with the plugin's own fixtures (TEST-001 to TEST-006)."""
