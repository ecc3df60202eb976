"""Run the demo: `python -m counters_project.demo [--rows N]`."""

from __future__ import annotations

import argparse
import os
import sys
import time

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from fold_counters_client import Client, CountersError
from rich.console import Console

from counters_project.demo.flights import NoFlightsError, fetch
from counters_project.demo.service import service
from counters_project.runner.config import CannotStartError, RunRecord, read_config


def main(arguments: list[str]) -> int:
    """Return 0 if every counter is exact, 1 if not, 130 after Ctrl-C."""
    options = _parse(arguments)
    console = Console(highlight=False)
    started = time.monotonic()
    try:
        config = read_config()
        with service(config, console) as described:
            flights = fetch(config.data_dir / "demo", console, rows=options.rows)
            _use(described)
            # Importing Django reads its settings, which depend on the running service.
            from counters_project.demo.scenario import play

            namespace = f"flights-{options.rows}" if options.rows else "flights"
            with Client(described["url"], described["token"]) as client:
                return play(
                    flights,
                    namespace,
                    console,
                    client=client,
                    url=described["url"],
                    started=started,
                )
    except (
        CannotStartError,
        CommandError,
        CountersError,
        ImproperlyConfigured,
        NoFlightsError,
    ) as error:
        console.print(str(error), markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped. Run `make demo` again to continue.")
        return 130


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="Import every departure from New York in 2013, about a million"
        " events, and compare each count with a plain sum over the file.",
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", help="import only the first N departures"
    )
    options = parser.parse_args(arguments)
    if options.rows is not None and options.rows < 1:
        parser.error("--rows must be 1 or more")
    return options


def _use(described: RunRecord) -> None:
    """Make Django use the servers of the running service."""
    os.environ["DATABASE_URL"] = described["database_url"]
    os.environ["CELERY_BROKER_URL"] = described["broker_url"]
    os.environ["CACHE_URL"] = described["cache_url"]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")
    django.setup()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
