"""What the app manager does: each module is one noun of its life."""
