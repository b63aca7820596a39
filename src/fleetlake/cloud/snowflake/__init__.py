"""Snowflake: numbered migrations, and the handshake that makes AWS and Snowflake trust each other."""
