"""Iceberg tables: where they are (catalog), what is in them (scan), how rows get there (write, commits)."""
