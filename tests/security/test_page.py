"""docs/security.md names tests; each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_page__names_tests_that_exist() -> None:
    page = (ROOT / "docs/security.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    sources = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))

    assert len(named) >= 15
    assert {name for name in named if f"def {name}(" not in sources} == set()
