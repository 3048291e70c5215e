"""What the agent keeps watch over in the guest, in one thread of the child."""
