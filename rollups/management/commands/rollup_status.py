"""`manage.py rollup_status`: how folding is doing, for people and for monitoring."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.db import Error as DatabaseError
from rich.console import Console
from rich.table import Table

from counters.db import errors
from counters.management.base import TaughtCommand
from rollups.management.commands.rollup import seconds
from rollups.monitor import status as judging
from rollups.monitor.status import Level, Limits, measure

UNKNOWN = 3
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.CRITICAL: "red"}


class Command(TaughtCommand):
    help = "Say how far folding lags behind, and whether triggers are being lost."
    examples = """\
examples:
  manage.py rollup_status
  manage.py rollup_status --warn-lag 10 --critical-lag 60
  manage.py rollup_status --json | jq .lag_seconds

exit codes, by the convention of Nagios: 0 OK; 1 WARNING; 2 CRITICAL, or the database cannot
serve; 3 UNKNOWN: wrong usage
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        limits = judging.default_limits()
        parser.add_argument(
            "--warn-lag",
            type=seconds,
            default=limits.warn_lag_seconds,
            metavar="SECONDS",
            help="WARNING from this lag on (default: two sweep periods, %(default)g)",
        )
        parser.add_argument(
            "--critical-lag",
            type=seconds,
            default=limits.critical_lag_seconds,
            metavar="SECONDS",
            help="CRITICAL from this lag on (default: twelve periods, %(default)g)",
        )
        parser.add_argument(
            "--warn-healed",
            type=int,
            default=limits.warn_healed,
            metavar="COUNTERS",
            help="WARNING where sweeps healed this many in ten minutes (%(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="answer as JSON")

    def run_from_argv(self, argv: list[str]) -> None:
        """Exit with UNKNOWN for wrong usage: monitoring reads argparse's 2 as CRITICAL."""
        self._is_measuring = False
        try:
            super().run_from_argv(argv)
        except SystemExit as end:
            if end.code == 2 and not self._is_measuring:
                sys.exit(UNKNOWN)
            raise

    def handle(self, *args: Any, **options: Any) -> None:
        self._is_measuring = True
        limits = Limits(
            warn_lag_seconds=options["warn_lag"],
            critical_lag_seconds=options["critical_lag"],
            warn_healed=options["warn_healed"],
            sweep_age_seconds=judging.default_limits().sweep_age_seconds,
        )
        try:
            status = measure()
        except DatabaseError as error:
            said = errors.explain(error) or errors.describe(error)
            self.stdout.write(f"CRITICAL - {said}")
            sys.exit(Level.CRITICAL)
        verdicts = judging.judge(status, limits)
        level = max(verdict.level for verdict in verdicts)
        if options["json"]:
            told = {
                one.name: {"level": one.level.name, "says": one.says}
                for one in verdicts
            }
            self.write_json({"level": level.name, **asdict(status), "verdicts": told})
        elif sys.stdout.isatty():
            _print_table(level, verdicts)
        else:
            troubles = [one.says for one in verdicts if one.level == level]
            self.stdout.write(f"{level.name} - {'; '.join(troubles)}")
        if level:
            sys.exit(level)


def _print_table(level: Level, verdicts: list[judging.Verdict]) -> None:
    table = Table("", "", "level", title=f"[{_STYLES[level]}]{level.name}[/]")
    for one in verdicts:
        table.add_row(one.name, one.says, f"[{_STYLES[one.level]}]{one.level.name}[/]")
    Console().print(table)
