"""A first boot for real: the installed agent on a view of this machine, the fabric beside it.

`python -m tests.demo` tells it as a story; `Guest` is the same as a library.
"""
