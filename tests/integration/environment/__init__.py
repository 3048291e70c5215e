"""The environment thread on a machine that is thrown away."""
