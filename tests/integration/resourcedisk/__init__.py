"""The resource disk with real disks, file systems and swap."""
