"""What can go wrong in a first boot, and what comes of it: one table, run and written from here.

`python -m tests.faults` writes docs/faults.md; `make faults` runs every row for real.
"""
