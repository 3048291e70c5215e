"""Real virtual machines that boot with the agent installed: `make vm`, and for `make bench`."""
