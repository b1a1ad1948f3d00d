"""The one SQLite file: sessions, the queue of readings, what is known of servers."""
