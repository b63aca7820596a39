"""The SQL models of gold."""
