"""InfiniBand: the driver for it, and the address of its device; only where a key asks for it."""
