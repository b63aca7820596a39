"""The SQL models of silver."""
