"""One way to count a file.

Each has `setup(counters)`, run once in the runner, and `step(key)`, which a client calls
with the number of a counter. `STEP_EVENTS` says how many events one step counts, `BESIDE`
which programs run beside the clients, and `TITLE` is for the table.
"""
