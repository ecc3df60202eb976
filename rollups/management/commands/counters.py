"""`manage.py counters SUBCOMMAND`: the only management command of these apps."""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter
from types import SimpleNamespace
from typing import Any, NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseProblem

from counters.db import errors
from counters.errors import CountersError
from rollups.commands import access, counts, folding, import_export, namespaces
from rollups.commands.base import Output, Refused, Subcommand
from rollups.commands.partitions import partitions
from rollups.commands.series import series
from rollups.commands.top import top

GROUPS: dict[str, tuple[Subcommand, ...]] = {
    "counters": (
        counts.add,
        counts.get,
        counts.list_counters,
        series,
        top,
        counts.clear,
        counts.delete,
    ),
    "files": (import_export.import_events, import_export.export_counters),
    "namespaces": (
        namespaces.create,
        namespaces.change,
        namespaces.list_namespaces,
        namespaces.delete,
    ),
    "access": (
        access.grant,
        access.revoke,
        access.create_token,
        access.list_tokens,
        access.revoke_token,
        access.role_sql,
    ),
    "maintenance": (
        folding.rollup,
        folding.status,
        folding.verify,
        partitions,
        folding.reanchor,
    ),
}
SUBCOMMANDS = {one.name: one for group in GROUPS.values() for one in group}
# The exit code with which shells report that SIGPIPE ended a program.
_READER_HAS_GONE = 141


class SubcommandParser(CommandParser):
    """Refuses unknown arguments with the subcommand's own usage and exit code."""

    wrong_usage = 2

    def parse_known_args(
        self, args: Any = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        super().exit(self.wrong_usage if status == 2 else status, message)


class Command(BaseCommand):
    help = "Count events, read counters, and manage the counter service."

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        kwargs |= {
            "formatter_class": RawDescriptionHelpFormatter,
            "usage": "%(prog)s SUBCOMMAND ...",
        }
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.description = f"{self.help}\n\n{_overview()}"
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        self.subparsers = parser.add_subparsers(
            dest="subcommand",
            metavar="SUBCOMMAND",
            prog=parser.prog,
            parser_class=SubcommandParser,
        )
        everywhere: Any = _options_of_all_commands()
        for subcommand in SUBCOMMANDS.values():
            added = self.subparsers.add_parser(
                subcommand.name,
                description=f"{subcommand.summary}\n\n{subcommand.about}".rstrip(),
                epilog=f"examples:\n{subcommand.examples}\n"
                f"exit codes: {subcommand.exit_codes}\n",
                formatter_class=RawDescriptionHelpFormatter,
                parents=[everywhere],
            )
            added.wrong_usage = subcommand.wrong_usage
            groups: dict[str | None, Any] = {None: added}
            for argument in subcommand.arguments:
                title = argument.group
                if title not in groups:
                    groups[title] = added.add_argument_group(title)
                groups[title].add_argument(*argument.flags, **argument.settings)
            if subcommand.has_json:
                added.add_argument("--json", action="store_true", help="print JSON")

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except DatabaseProblem as error:
            sentence = errors.explain(error)
            if sentence is None or "--traceback" in argv:
                raise
            sys.exit(sentence)

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            try:
                return super().execute(*args, **options)
            finally:
                # A subcommand may have printed something before it failed.
                self.stdout.flush()
        except CountersError as error:
            raise Refused(error.message) from error
        except ImproperlyConfigured as error:
            raise Refused(str(error)) from error
        except BrokenPipeError:
            # What is still buffered goes nowhere; otherwise Python would complain at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(_READER_HAS_GONE)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["subcommand"] is None:
            raise Refused(f"Name a subcommand.\n\n{_overview()}", returncode=2)
        output = Output(self.stdout, self.stderr, options.get("json", False))
        SUBCOMMANDS[options["subcommand"]].run(output, SimpleNamespace(**options))


def _overview() -> str:
    lines = []
    for group, members in GROUPS.items():
        lines += [f"{group}:", *(f"  {one.name:<18}{one.summary}" for one in members)]
        lines.append("")
    return "\n".join(
        [*lines, "`manage.py counters SUBCOMMAND --help` explains one, with examples."]
    )


def _options_of_all_commands() -> ArgumentParser:
    """Return Django's own options, which are accepted after the subcommand, too.

    A default here would replace the value that was given before the subcommand.
    """
    parser = ArgumentParser(add_help=False, argument_default=SUPPRESS)
    parser.add_argument("-v", "--verbosity", type=int, choices=range(4), help=SUPPRESS)
    for option in ("--settings", "--pythonpath"):
        parser.add_argument(option, help=SUPPRESS)
    for option in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        parser.add_argument(option, action="store_true", help=SUPPRESS)
    return parser
