"""What a Django team would write first: a counter as one row, and a view that adds to it."""
