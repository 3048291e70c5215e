"""What an agent costs, in a real virtual machine, beside another agent: `make bench`."""
