"""Gold compared with the truth of simulations."""
