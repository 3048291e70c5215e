"""This machine's operating system, as Azure calls it: the guest."""
