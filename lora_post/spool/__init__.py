"""The one SQLite file: sessions, queues, facts. A table has one module with all its SQL."""
