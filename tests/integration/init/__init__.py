"""What init/ ships, tried with the programs that will read it."""
