"""The base of this project's commands: help that keeps its worked examples' lines."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from counters.errors import CountersError


class TaughtCommand(BaseCommand):
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
            return super().execute(*args, **options)
        except CountersError as error:
            raise CommandError(error.message) from error

    def write_json(self, answer: object) -> None:
        """Print one JSON document, for scripts."""
        self.stdout.write(json.dumps(answer, ensure_ascii=False))
