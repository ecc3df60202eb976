"""The subcommands of `manage.py counters`, with the help that they print themselves."""

from __future__ import annotations

from rollups.management.commands.counters import GROUPS, Command

INTRODUCTION = """# Commands

The service and your project are operated with `manage.py counters SUBCOMMAND`. This page shows the text
that `--help` prints.
"""


def text() -> str:
    pages = [INTRODUCTION]
    command = Command()
    command.create_parser("manage.py", "counters")
    for group, members in GROUPS.items():
        pages.append(f"## {group.capitalize()}\n")
        for one in members:
            parser = command.subparsers.choices[one.name]
            # argparse fills lines as wide as the terminal; a page is not a terminal.
            formatter = parser.formatter_class
            parser.formatter_class = lambda prog, kind=formatter: kind(prog, width=92)
            help_text = parser.format_help().rstrip()
            pages.append(f"### counters {one.name}\n\n```text\n{help_text}\n```\n")
    return "\n".join(pages)
