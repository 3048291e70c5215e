"""Bytes of the fabric to frozen types and back: no I/O, no clock, no configuration."""
