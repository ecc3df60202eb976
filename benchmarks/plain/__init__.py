"""The plainest counter: one row, and a view that adds to it."""
