"""SIGKILL to the real child at each step of an extension's life, and what its next start does."""
