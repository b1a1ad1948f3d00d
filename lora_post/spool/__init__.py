"""The one SQLite file. A table has one module with all its SQL."""
