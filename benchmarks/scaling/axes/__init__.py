"""One axis a file: what grows, what is measured meanwhile, and how.

Each has `AXIS`, and `measure(plan)`, which returns its points. Each runs in a process of
its own, on servers of its own.
"""
