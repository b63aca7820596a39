"""Settings and profiles, and what is put together from them: the one place that reads the environment."""
