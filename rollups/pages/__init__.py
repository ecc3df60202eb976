"""The operations page for staff."""
