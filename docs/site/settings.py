"""Write the reference page of the settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import counters.conf
import rollups.conf
from counters.conf import Choice, Seconds, Setting, Whole
from docs.site.tables import table

SOURCES = Path(__file__).resolve().parent.parent.parent / "counters_project"
READERS = {"text", "integer", "number", "flag", "names", "hosts", "url", "cache_url"}
INTRODUCTION = """# Settings

All are environment variables of the service. A bad value stops each process at its start, with
an error that names it. [Operations](../operations.md#settings) says which belong together.

"""
IN_PROJECTS = """## Of the apps

In a project of your own these are Django settings. Where the second column has a name, it is
the name of the setting.

"""
ROWS = (*counters.conf.SETTINGS, *rollups.conf.SETTINGS)


@dataclass(frozen=True)
class Variable:
    """An environment variable: its default as the code has it, and the comment above."""

    name: str
    default: str
    meaning: str


def text() -> str:
    rows = [
        (f"`{one.name}`", f"`{one.default}`" if one.default else "", one.meaning)
        for one in sorted(_of_the_service(), key=lambda one: one.name)
    ]
    service = table(["variable", "default", "meaning"], rows)
    return f"{INTRODUCTION}{service}\n\n{IN_PROJECTS}{table_of_apps()}\n"


def table_of_apps() -> str:
    """Return the table of the settings of the two apps, as operations.md has it, too."""
    return table(
        ["variable", "setting", "default", "values", "meaning"],
        (
            (
                f"`{row.variable or row.name}`",
                f"`{row.name}`" if row.variable else "",
                _default(row),
                _values(row),
                row.meaning,
            )
            for row in ROWS
        ),
    )


def _default(row: Setting[Any]) -> str:
    match row.default:
        case str(text):
            return f"`{text}`" if text else ""
        case number:
            return f"{number:,}"


def _values(row: Setting[Any]) -> str:
    match row:
        case Choice(choices=choices):
            return ", ".join(f"`{word}`: {what}" for word, what in choices.items())
        case Seconds(least=least, most=most):
            return f"{least:,} to {most:,} s"
        case Whole(least=least, most=most):
            return f"{least:,} to {most:,}"
        case _:
            return row.wanted


def variables() -> list[Variable]:
    """Return all environment variables of the service, each once."""
    of_apps = [
        Variable(row.variable or row.name, _default(row).strip("`"), row.meaning)
        for row in ROWS
    ]
    return of_apps + _of_the_service()


def _of_the_service() -> list[Variable]:
    """Return the variables that counters_project reads, and the comments about them."""
    found: dict[str, Variable] = {}
    for path in sorted(SOURCES.rglob("*.py")):
        for one in _variables_in(path.read_text()):
            known = found.get(one.name)
            if known is None or len(one.meaning) > len(known.meaning):
                found[one.name] = one
    return list(found.values())


def _variables_in(source: str) -> Iterator[Variable]:
    lines = source.splitlines()
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            continue
        owner = call.func.value
        if call.func.attr not in READERS or not isinstance(owner, ast.Name):
            continue
        if owner.id != "env" or not isinstance(call.args[0], ast.Constant):
            continue
        name = str(call.args[0].value)
        default = ast.unparse(call.args[1]) if len(call.args) > 1 else ""
        yield Variable(name, _shown(default), _meaning(lines, name))


def _shown(default: str) -> str:
    """Return a default as an operator would write it; nothing for one that is worked out."""
    try:
        value = ast.literal_eval(default)
    except ValueError:
        return ""
    return str(value)


def _meaning(lines: list[str], name: str) -> str:
    """Return the comment that begins with the variable's name, up to the next variable's."""
    for number, line in enumerate(lines):
        comment = re.match(rf"\s*# (?:[A-Z_ /]*\b)?{name}\b[^:]*: (.*)", line)
        if comment is None:
            continue
        words = [comment[1]]
        for following in lines[number + 1 :]:
            more = re.match(r"\s*# (.*)", following)
            if more is None or re.match(r"[A-Z][A-Z_]+[A-Z]\b[^:]*:", more[1]):
                break
            words.append(more[1])
        return " ".join(words)
    return ""
