"""Maintenance that is safe beside a running ingest: files are replaced by a commit that only lands if they are all still there."""
