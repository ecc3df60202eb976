"""docs/features.md names tests and pages; each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/features.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")][2:]


def test_features__name_tests_that_exist() -> None:
    sources = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))

    for row in ROWS:
        [name] = re.findall(r"`(test_\w+)`", row)
        assert f"def {name}(" in sources, row
    assert len(ROWS) >= 20


def test_features__name_pages_that_exist() -> None:
    for row in ROWS:
        [page] = re.findall(r"\]\(([^)]+)\)", row)
        assert (ROOT / "docs" / page).is_file(), row
