#!/usr/bin/env python
"""Django's command line. `manage.py help` lists the commands of `counters` and `rollups`."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line
from django.db import Error

from counters import outages


def main(words: list[str]) -> None:
    """Run a command; where the database cannot serve it, say so in one line and exit 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")
    try:
        execute_from_command_line(words)
    except Error as error:
        if "--traceback" in words or not outages.is_outage(error):
            raise
        sys.exit(f"The database cannot serve this now: {outages.describe(error)}")


if __name__ == "__main__":
    main(sys.argv)
