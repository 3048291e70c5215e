"""Debian in containers: real init systems and network managers, on a network that leads nowhere."""
