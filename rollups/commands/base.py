"""Subcommands of `manage.py counters`: their description, and their output."""

from __future__ import annotations

import json
import re
import shlex
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from counters.errors import InvalidValue
from counters.json_values import read_time
from counters.models import Namespace
from counters.namespaces import lookup

# A word of at most this length is never folded, however narrow the terminal is.
_SHORT_WORD = 30


class Refused(CommandError):
    """The command cannot do this; Django prints the message and exits with 1."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where a subcommand prints."""

    stdout: OutputWrapper
    stderr: OutputWrapper
    as_json: bool

    @property
    def is_terminal(self) -> bool:
        return self.stdout.isatty()

    def say(self, text: str) -> None:
        self.stdout.write(text)

    def warn(self, text: str) -> None:
        self.stderr.write(text)

    def answer(self, document: object, text: str) -> None:
        """Print the document as JSON if the user asked for JSON, otherwise the text."""
        if self.as_json:
            text = json.dumps(document, ensure_ascii=False)
            # A file name may hold bytes that are not text; JSON can escape them.
            text = text.encode(errors="backslashreplace").decode()
        self.say(text)

    def answer_list(
        self,
        document: object,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
    ) -> None:
        """Print JSON, or a table on a terminal, or tab-separated lines elsewhere."""
        if self.as_json:
            self.answer(document, "")
        elif self.is_terminal:
            self._print_table(columns, list(rows))
        else:
            for row in rows:
                self.say("\t".join(row))

    def print(self, renderable: Any) -> None:
        """Print something of rich's."""
        screen: Any = self.stdout
        Console(file=screen).print(renderable)

    def _print_table(
        self, columns: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for number, column in enumerate(columns):
            table.add_column(
                column,
                overflow="fold",
                justify="left" if number == 0 else "right",
                no_wrap=all(_is_short_word(row[number]) for row in rows),
            )
        for row in rows:
            # As Text: a name may look like rich's markup.
            table.add_row(*(Text(cell) for cell in row))
        self.print(table)


# The options are what argparse has read, as attributes.
Run = Callable[[Output, Any], None]


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a subcommand, as argparse's `add_argument` takes it."""

    flags: tuple[str, ...]
    settings: dict[str, Any]
    # The heading in --help.
    group: str | None


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A subcommand: how --help describes it, and the function that runs it."""

    name: str
    summary: str
    arguments: tuple[Argument, ...]
    run: Run
    # Paragraphs before the arguments in --help, and examples after them.
    about: str = ""
    examples: str = ""
    exit_codes: str = "0 done; 1 refused, with the reason; 2 wrong usage"
    wrong_usage: int = 2
    has_json: bool = True


def subcommand(
    name: str, summary: str, *arguments: Argument, **texts: Any
) -> Callable[[Run], Subcommand]:
    """Make a subcommand of a function."""
    return lambda run: Subcommand(name, summary, arguments, run, **texts)


def arg(*flags: str, group: str | None = None, **settings: Any) -> Argument:
    return Argument(flags, settings, group)


def flag(name: str, help: str, *, group: str | None = None) -> Argument:  # noqa: A002
    """Return an option without a value."""
    return arg(name, action="store_true", help=help, group=group)


def instant(text: str) -> datetime | None:
    """Read an ISO 8601 instant with its UTC offset."""
    try:
        return read_time("instant", text)
    except InvalidValue as error:
        raise ArgumentTypeError(error.message) from error


def seconds(text: str) -> float:
    """Read a number of seconds above 0, at most an hour."""
    with suppress(ValueError):
        if 0 < (value := float(text)) <= 3600:
            return value
    raise ArgumentTypeError(
        f"{text!r} is not a number of seconds above 0 and at most 3600"
    )


def whole_number(
    least: int, most: int = 1_000_000_000, *, of: str = ""
) -> Callable[[str], int]:
    """Return a reader of whole numbers in this range; `of` says what they count."""
    wanted = f"a whole number{of and f' of {of}'} from {least:,} to {most:,}"

    def read(text: str) -> int:
        is_number = re.fullmatch("[0-9]{1,18}", text)
        if is_number and least <= (value := int(text)) <= most:
            return value
        raise ArgumentTypeError(f"{text!r} is not {wanted}")

    return read


NAMESPACE = arg("namespace", help="the namespace's name")
COUNTER = (NAMESPACE, arg("name", help="the counter's name"))
ONLY_NAMESPACE = arg(
    "--namespace", metavar="NAME", help="only the counters of this namespace"
)
CONFIRM = (
    arg("--confirm", metavar="NAME", help="the name again, in place of typing it in"),
    flag("--yes", "do not ask"),
)


def span_arguments(start: str, end: str) -> tuple[Argument, Argument]:
    """Return --from and --to with these defaults."""
    return (
        arg(
            "--from",
            dest="since",
            type=instant,
            metavar="INSTANT",
            help="the first instant, with its UTC offset, such as 2026-01-31T00:00Z"
            f" (default: {start})",
        ),
        arg(
            "--to",
            dest="until",
            type=instant,
            metavar="INSTANT",
            help=f"the end, which is not included (default: {end})",
        ),
    )


def only_namespace(options: Any) -> Namespace | None:
    """Return the namespace of ONLY_NAMESPACE. Raises NamespaceNotFound."""
    return lookup.get(options.namespace) if options.namespace else None


def confirm(out: Output, options: Any, *, name: str, what: str) -> str:
    """Return the name if the user gave it, typed it, or said --yes."""
    if options.yes:
        return name
    given: str | None = options.confirm
    if given is None and sys.stdin.isatty():
        out.say(f"This deletes {what}. It cannot be restored.")
        given = input(f"Type {name} to continue: ")
    if given != name:
        raise Refused(
            f"Nothing was deleted. Give --confirm {shlex.quote(name)}, or --yes."
        )
    return given


def progress_bar(*columns: ProgressColumn, hidden: bool = False) -> Progress:
    """Return a bar on standard error, which prints nothing unless that is a terminal."""
    console = Console(stderr=True)
    # Unless it is disabled, rich prints an empty line at its end, even without a terminal.
    disable = hidden or not console.is_terminal
    return Progress(*columns, console=console, transient=True, disable=disable)


def counting_bar(doing: str, things: str = "counters") -> Progress:
    """Return a progress bar that shows how many of all counters are done."""
    return progress_bar(
        TextColumn(doing),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(things),
        TimeRemainingColumn(),
    )


def _is_short_word(cell: str) -> bool:
    return len(cell) <= _SHORT_WORD and " " not in cell
