"""The temporary disk of a VM: found, formatted if it holds nothing of anybody's, mounted, swap.

Nothing here is needed to run extensions: whatever fails is reported, and the boot goes on.
Source: spec DAEMON 2; where we differ, docs/parity.md.
"""
