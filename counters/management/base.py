"""The base of this project's commands: help that keeps its worked examples' lines."""

from __future__ import annotations

import json
import os
import shlex
import sys
from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    RawDescriptionHelpFormatter,
)
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseProblem
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.table import Table
from rich.text import Text

from counters.db import errors
from counters.errors import CountersError, InvalidValue
from counters.json_values import read_time

# Words of up to so many characters stay whole, whatever else has to be folded.
_SHORT_WORD = 30
# As a shell tells that SIGPIPE ended a program.
_NOBODY_READS = 141


class ExplainedCommand(BaseCommand):
    """A command that explains in one line why the database cannot serve it."""

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except DatabaseProblem as error:
            sentence = errors.explain(error)
            if sentence is None or "--traceback" in argv:
                raise
            sys.exit(sentence)


class TaughtCommand(ExplainedCommand):
    """A command with `examples` below its --help, --json, and errors in one line."""

    examples = ""

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.epilog = self.examples
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            try:
                return super().execute(*args, **options)
            finally:
                # One that ends by raising has written, too.
                self.stdout.flush()
        except CountersError as error:
            raise CommandError(error.message) from error
        except BrokenPipeError:
            # What is buffered still goes nowhere, without a word about it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(_NOBODY_READS)

    def write_table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]]
    ) -> None:
        """Print a table for people, or lines with tabs where it is read by a program."""
        if not self.stdout.isatty():
            for row in rows:
                self.stdout.write("\t".join(row))
            return
        rows = list(rows)
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(
                column,
                overflow="fold",
                justify="left" if number == 0 else "right",
                no_wrap=all(_is_short_word(row[number]) for row in rows),
            )
        for row in rows:
            # As text: a name may look like rich's markup.
            table.add_row(*(Text(cell) for cell in row))
        screen: Any = self.stdout
        Console(file=screen).print(table)

    def confirmed(self, name: str, what: str, options: dict[str, Any]) -> str:
        """Return the name that confirms a deletion: given, agreed to, or typed in."""
        if options["yes"]:
            return name
        given: str | None = options["confirm"]
        if given is None and sys.stdin.isatty():
            self.stdout.write(f"This deletes {what}, for good.")
            given = input(f"Type {name} to go on: ")
        if given != name:
            raise CommandError(
                f"Nothing was deleted: give --confirm {shlex.quote(name)}, or --yes."
            )
        return given

    def write_json(self, answer: object) -> None:
        """Print one JSON document, for scripts."""
        self.stdout.write(json.dumps(answer, ensure_ascii=False))


def _is_short_word(cell: str) -> bool:
    return len(cell) <= _SHORT_WORD and " " not in cell


def progress_bar(*columns: ProgressColumn, hidden: bool = False) -> Progress:
    """Return a progress bar on standard error; it prints nothing unless that is a terminal."""
    console = Console(stderr=True)
    # Unless it is disabled, rich prints an empty line at its end, even without a terminal.
    disable = hidden or not console.is_terminal
    return Progress(*columns, console=console, transient=True, disable=disable)


def instant(text: str) -> datetime | None:
    """Read an argument that is an instant."""
    try:
        return read_time("instant", text)
    except InvalidValue as error:
        raise ArgumentTypeError(error.message) from error


def add_generation_time_option(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--generation-time",
        type=instant,
        metavar="INSTANT",
        help="when the event was made, such as 2026-01-31T12:00:00Z (default: now)",
    )


def add_json_option(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="answer as JSON")


def add_confirm_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--confirm", metavar="NAME", help="the name once more, in place of being asked"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
