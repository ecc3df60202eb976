"""Counter names made from columns: `route/{origin}-{dest}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from counters.importing.errors import BadRow, CannotImport

PIECE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}|[{}]|%")


@dataclass(frozen=True, slots=True)
class Template:
    """A counter's name with places for columns."""

    pattern: str
    columns: tuple[str, ...]

    def fill(self, values: Mapping[str, Any]) -> str:
        """Return the name for a row; raise BadRow where a column does not make one."""
        return self.pattern % tuple(
            [_text(name, values[name]) for name in self.columns]
        )


def parse(text: str) -> Template:
    """Return the template; `{{` and `}}` stand for braces. Raises CannotImport."""
    columns: list[str] = []

    def replace(piece: re.Match[str]) -> str:
        found = piece.group()
        if piece.group(1) is not None:
            columns.append(piece.group(1))
            return "%s"
        if found in {"{", "}"}:
            raise CannotImport(
                f"--counter {text!r} has a single {found!r}; name a column as"
                " {column}, and write {{ and }} for braces."
            )
        return "%%" if found == "%" else found[0]

    pattern = PIECE.sub(replace, text)
    if not text:
        raise CannotImport(
            "--counter is empty; name a counter, or a column: '{column}'."
        )
    return Template(pattern, tuple(columns))


def _text(column: str, value: object) -> str:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None or value == "":
        raise BadRow(f"column {column!r} is empty, so the counter has no name")
    raise BadRow(f"column {column!r} is neither text nor a number")
