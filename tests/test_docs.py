"""The documentation says what the code does: settings, commands, and the quickstart's words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.site import commands, errors, metrics, settings
from rollups.management.commands.counters import SUBCOMMANDS

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = (ROOT / "docs/operations.md").read_text()
VARIABLES = settings.variables()


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda one: one.name)
def test_setting__is_explained_where_it_is_read_and_in_operations(
    variable: settings.Variable,
) -> None:
    assert variable.meaning, f"{variable.name}: say above it what it means"
    assert f"`{variable.name}`" in OPERATIONS, f"{variable.name}: in operations.md"


def test_settings__of_the_apps_are_in_operations_as_in_the_code() -> None:
    assert settings.table_of_apps() in OPERATIONS


def test_settings__are_found() -> None:
    found = {variable.name: variable for variable in VARIABLES}

    assert found["ROLLUPS_SWEEP_PERIOD_SECONDS"].default == "5"
    assert found["LOG_LEVEL"].default == "INFO"
    assert "DEBUG, INFO" in found["LOG_LEVEL"].meaning
    assert found["DATABASE_URL"].default == ""
    assert len(found) > 30


def test_reference__has_every_command_metric_and_error() -> None:
    assert "### counters status" in commands.text()
    assert "exit codes" in commands.text()
    assert "`rollups_healed_total`" in metrics.text()
    assert "`rollups_lag_seconds`" in metrics.text()
    assert "| `TokenConflict` | `token-conflict` | 409 |" in errors.text()


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name
)
def test_page__names_only_commands_that_exist(page: Path) -> None:
    known = {f"counters {name}" for name in SUBCOMMANDS}
    # The service's own, and Django's.
    known |= {"create_demo", "migrate", "check", "createsuperuser", "shell"}
    known |= {"makemigrations", "counters SUBCOMMAND", "counters"}

    named = re.findall(r"manage\.py ((?:counters )?[\w-]+)", page.read_text())

    assert set(named) - {"NAME"} <= known, page
