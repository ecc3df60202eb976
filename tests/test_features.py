"""The tests and pages that docs/features.md and docs/operations.md name are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/features.md").read_text()
SOURCES = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("*.py"))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")][2:]


def test_features__name_tests_that_exist() -> None:
    for row in ROWS:
        [name] = re.findall(r"`(test_\w+)`", row)
        assert f"def {name}(" in SOURCES, row
    assert len(ROWS) >= 20


def test_bounds__name_tests_that_exist() -> None:
    page = (ROOT / "docs/operations.md").read_text()
    bounds = page.split("## How stale a count may be")[1].split("## ")[0]
    rows = [line for line in bounds.splitlines() if line.startswith("| ")][2:]

    assert len(rows) >= 10
    for row in rows:
        names = re.findall(r"`(test_\w+)`", row)
        assert names, row
        for name in names:
            assert f"def {name}(" in SOURCES, row


def test_features__name_pages_that_exist() -> None:
    for row in ROWS:
        [page] = re.findall(r"\]\(([^)]+)\)", row)
        assert (ROOT / "docs" / page.split("#")[0]).is_file(), row
