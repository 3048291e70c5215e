"""The Azure side: what is said on the wire, and to whom."""
