"""Bronze to silver to gold: SQL models, and the runner that keeps their tables up to date."""
