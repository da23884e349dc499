"""Energy of runs."""
