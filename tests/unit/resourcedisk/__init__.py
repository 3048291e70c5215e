"""The resource disk on machines in folders."""
