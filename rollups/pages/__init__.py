"""The operations page: how the whole service is doing, for staff, at a glance."""
