"""The one SQLite file: sessions, the queue of readings, and what a person does with it."""
