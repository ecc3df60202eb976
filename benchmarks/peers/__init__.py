"""One way to count a file. Each has `setup()`, run once, and `step()`, which counts.

`STEP_EVENTS` says how many events one step counts; `TITLE` is for the table.
"""
