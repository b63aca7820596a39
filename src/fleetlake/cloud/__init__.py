"""The lake's tables on AWS and Snowflake: what has to be made there, derived from the contracts, and the commands that make it."""
