"""The real daemon with its real paths and addresses, on a copy-on-write view of this machine."""
