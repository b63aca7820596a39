"""Both engines side by side. One Spark session and one S3 server for all of it: see conftest.py."""
