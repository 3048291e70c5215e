"""The real agent, or parts of it, against the emulator and real programs."""
