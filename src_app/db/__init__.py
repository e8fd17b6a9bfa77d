"""The app manager's database: models, validation, repositories, migrations."""
