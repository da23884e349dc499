"""Energy of runs: what one spends, how that is known, what it may spend and what it will."""
