"""The child process: goal state after goal state, for years."""
