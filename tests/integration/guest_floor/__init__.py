"""Checks that run on a copy of a machine, started by ``test_guest_real``."""
