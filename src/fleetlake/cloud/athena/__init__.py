"""Athena: external tables over the raw landing, views, named queries, and running SQL there."""
