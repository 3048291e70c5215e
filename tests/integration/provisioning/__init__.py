"""Provisioning on a machine in a folder, seen by a fabric in this process."""
