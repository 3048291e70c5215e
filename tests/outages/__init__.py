"""What an outage of the fabric costs: each fault on each endpoint for an hour, in compressed time.

`python -m tests.outages` runs all of it and writes docs/outages.md; `make outages` also plays three
of them in real time, and each fault with the real child. Tests of `make check` run some rows.
"""
