"""Every environment variable, as counters_project reads it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docs.site.tables import table

SOURCES = Path(__file__).resolve().parent.parent.parent / "counters_project"
READERS = {"text", "integer", "number", "flag", "names", "hosts", "url", "cache_url"}
INTRODUCTION = """# Settings

All are environment variables. A value out of its range stops the start, with an error
that names it. Durations are in the unit that the name ends in.
[Operations](../operations.md#settings) says which belong together.

"""


@dataclass(frozen=True)
class Variable:
    """An environment variable: its default as the code has it, and the comment above."""

    name: str
    default: str
    meaning: str


def text() -> str:
    rows = [
        (f"`{one.name}`", f"`{one.default}`" if one.default else "", one.meaning)
        for one in sorted(variables(), key=lambda one: one.name)
    ]
    return INTRODUCTION + table(["variable", "default", "meaning"], rows) + "\n"


def variables() -> list[Variable]:
    """Return the variables that the code reads, each once, with what the code says of it."""
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
