"""Every management command, with the help that it gives itself."""

from __future__ import annotations

from django.core.management import get_commands, load_command_class

INTRODUCTION = """# Commands

Each is `manage.py NAME`. What follows is what `--help` says.
"""


def text() -> str:
    pages = [INTRODUCTION]
    for name, app in sorted(get_commands().items()):
        if app not in {"counters", "rollups"}:
            continue
        # argparse fills lines as wide as the terminal; the page is no terminal.
        parser = load_command_class(app, name).create_parser("manage.py", name)
        formatter = parser.formatter_class
        parser.formatter_class = lambda prog, kind=formatter: kind(prog, width=92)
        shown = [
            line
            for line in parser.format_help().splitlines()
            if not _is_djangos_own(line)
        ]
        pages.append(f"## {name}\n\n```text\n" + "\n".join(shown).rstrip() + "\n```\n")
    return "\n".join(pages)


def _is_djangos_own(line: str) -> bool:
    return line.strip().startswith(("--settings ", "--pythonpath ", "--traceback "))
