"""Importing events from files: what `manage.py import_events` does, apart from talking."""
