"""What every layer may use: errors, clock, progress. Standard library only."""
