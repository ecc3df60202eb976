"""Takes the pictures of the documentation: `python -m tools.screenshots`, `make screenshots`.

Starts a service of its own on a free port, fills it with an afternoon of a small shop, and
opens the pages that an operator uses in a headless Chromium.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from rich.console import Console

from counters_project.demo.service import service
from counters_project.runner.config import BASE_DIR, read_config

IMAGES = BASE_DIR / "docs" / "images"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("--into", type=Path, default=IMAGES)
    parser.add_argument("--only", default="", help="pictures whose name has this")
    options = parser.parse_args()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="counters-screenshots-") as name:
        os.environ |= {"DATA_DIR": name, "PORT": str(_free_port())}
        with service(read_config(), console) as described:
            os.environ |= {
                "DATABASE_URL": described["database_url"],
                "CELERY_BROKER_URL": described["broker_url"],
                "CACHE_URL": described["cache_url"],
            }
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")
            django.setup()
            # They import models, which the settings above are for.
            afternoon: Any = import_module("tools.screenshots.afternoon")
            scenes: Any = import_module("tools.screenshots.scenes")
            with console.status("Filling it ..."):
                afternoon.fill()
            for taken in scenes.take(described["url"], options.into, options.only):
                console.print(f"{taken} ({taken.stat().st_size / 1000:.0f} kB)")
    return 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


if __name__ == "__main__":
    sys.exit(main())
