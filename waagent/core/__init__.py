"""What every room stands on: nothing of the fabric, nothing of a distribution."""
