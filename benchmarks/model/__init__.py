"""A queueing model of the service: calibrated by a short run, held against another one.

What is simulated and what is measured never stand in one column.
"""
