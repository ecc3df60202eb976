"""`manage.py import_events`: events from a CSV or NDJSON file."""

from __future__ import annotations

import gc
import json
import os
import shlex
import sys
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import (
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)
from django.db import DatabaseError

from counters.errors import BatchRefused, NamespaceNotFound, span
from counters.importing import mapping, options, report
from counters.importing.errors import CannotImport, InputBroken
from counters.importing.input import Input, opened
from counters.importing.plan import Plan
from counters.importing.run import Import, Outcome, Watcher
from counters.management.base import ExplainedCommand
from counters.namespaces import lookup

WRONG_OPTIONS, SOME_REJECTED, STOPPED_BY_CTRL_C = 2, 1, 130
# Rejected rows that are shown; all of them are in the rejects file.
SHOWN_REJECTS = 10
GC_THRESHOLD = 200_000


class Formatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Keeps the examples as they are written."""


class Command(ExplainedCommand):
    help = options.DESCRIPTION

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        kwargs |= {"formatter_class": Formatter, "epilog": options.EPILOG}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        options.add_arguments(parser)

    def handle(self, *args: Any, **given: Any) -> None:
        try:
            plan = options.plan_of(given)
            _check_places(plan)
            with opened(plan) as source:
                outcome = self._import(plan, source)
        except NamespaceNotFound as error:
            raise CommandError(
                f"{error.message} Make it first:"
                f" manage.py create_namespace {shlex.quote(given['namespace'])}",
                returncode=WRONG_OPTIONS,
            ) from error
        except CannotImport as error:
            raise CommandError(str(error), returncode=WRONG_OPTIONS) from error
        except InputBroken as error:
            raise CommandError(f"The import cannot begin: {error}") from error
        done = report.summarise(plan, outcome)
        as_text = (
            json.dumps(done)
            if given["json"]
            else report.as_text(done, lookup.get(plan.namespace))
        )
        self.stdout.write(as_text)
        if outcome.totals.rejected:
            sys.exit(SOME_REJECTED)

    def _import(self, plan: Plan, source: Input) -> Outcome:
        # A batch is tens of thousands of objects without a cycle; looking for cycles at
        # Python's usual pace took a quarter of the time.
        gc.set_threshold(GC_THRESHOLD)
        told = _Told(plan)
        running = Import(plan, source, told.watcher)
        told.warn_of_untimed()
        told.warn_of_doubt(running.source)
        try:
            before = running.committed.totals.events
            with report.shown(source, events_before=before) as told.speaker:
                told.watcher.advanced = told.speaker.advance
                return running.run()
        except KeyboardInterrupt:
            self.stderr.write(f"\nStopped. {_how_far(plan, running)}")
            sys.exit(STOPPED_BY_CTRL_C)
        except (InputBroken, DatabaseError, BatchRefused, OSError) as error:
            raise CommandError(
                f"The import broke off: {str(error).strip()}\n{_how_far(plan, running)}"
            ) from error


class _Told:
    """Says on stderr what happens on the way."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._rejects_shown = 0
        self.speaker = report.Quiet()
        self.watcher = Watcher(
            resumed=lambda line: self.speaker.say(
                f"Going on behind line {line:,}, where the last import of this file stopped."
            ),
            rejected=self._rejected,
        )

    def warn_of_untimed(self) -> None:
        plan = self._plan
        if plan.time is None and plan.at is None:
            window = span(lookup.get(plan.namespace).accept_past)
            self.speaker.say(
                f"No --time and no --at: the event time is now, and importing again counts"
                f" once only within {window}."
            )

    def warn_of_doubt(self, source: str) -> None:
        if doubt := mapping.doubt(self._plan, source):
            self.speaker.say(doubt)

    def _rejected(self, line: int, reason: str) -> None:
        self._rejects_shown += 1
        if self._rejects_shown <= SHOWN_REJECTS:
            self.speaker.say(f"line {line:,}: {reason}")
        elif self._rejects_shown == SHOWN_REJECTS + 1:
            self.speaker.say(f"More rejected rows: see {self._plan.rejects_file}")


def _how_far(plan: Plan, running: Import) -> str:
    committed = running.committed
    if plan.dry_run:
        return "Nothing was written: this was a dry run."
    far = f"Everything up to line {committed.line:,} is counted."
    if not plan.keeps_progress:
        return f"{far} Run it again: what is counted already is not counted again."
    return f"{far} Run the same command again to go on from there."


def _check_places(plan: Plan) -> None:
    """Refuse at once a rejects file that could not be written at the first rejected row."""
    file = plan.rejects_file
    if not os.access(file.parent, os.W_OK):
        raise CannotImport(
            f"{file} cannot be written; change that, or give --rejects FILE."
        )
