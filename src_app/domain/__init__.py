"""What the app manager is about: its words, its rules, its errors. No I/O."""
