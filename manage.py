#!/usr/bin/env python
"""Django's command line. `manage.py help` lists the commands of `counters` and `rollups`."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import Error

from counters.db import errors


def main(words: list[str]) -> None:
    """Run a command; if a setting or the database prevents it, say so in one line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")
    try:
        execute_from_command_line(words)
    except (Error, ImproperlyConfigured) as error:
        is_setting = isinstance(error, ImproperlyConfigured)
        sentence = str(error) if is_setting else errors.explain(error)
        if sentence is None or "--traceback" in words:
            raise
        sys.exit(sentence)


if __name__ == "__main__":
    main(sys.argv)
