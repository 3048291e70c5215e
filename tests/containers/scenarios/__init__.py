"""One file each: a module with a docstring, and `play(lab)`, which yields findings.

A new scenario is a new file here; `make containers` finds it.
"""
