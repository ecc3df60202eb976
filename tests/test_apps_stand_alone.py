"""The two apps go into any Django project: they know nothing of the service's own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from rollups import conf as rollups_conf

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    [*(ROOT / "counters").rglob("*.py"), *(ROOT / "rollups").rglob("*.py")]
)
# Django's and Celery's own; whatever else the apps read has one of their prefixes.
OTHERS = {
    *("AUTH_USER_MODEL", "CACHES", "DATABASES", "DATA_UPLOAD_MAX_MEMORY_SIZE", "DEBUG"),
    *("MIDDLEWARE", "ROOT_URLCONF", "USE_TZ"),
}


def imported(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize(
    "source", SOURCES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_apps__import_nothing_of_the_services_project(source: Path) -> None:
    packages = {name.split(".")[0] for name in imported(source)}

    assert not packages & {"counters_project", "tests", "benchmarks"}
    if source.is_relative_to(ROOT / "counters"):
        assert "rollups" not in packages


def test_apps__keep_the_api_and_its_packages_apart() -> None:
    """The wheel works without the extra `rest`; domain code knows nothing of REST."""
    apart = ("counters/rest/", "rollups/rest/")
    # The admin page of API tokens is loaded only where knox is installed.
    with_knox = "counters/admin/tokens.py"
    interfaces = ("/checks.py", "/commands/")
    for source in SOURCES:
        path = str(source.relative_to(ROOT))
        if path.startswith(apart):
            continue
        names = set(imported(source))
        if path != with_knox:
            packages = {name.split(".")[0] for name in names}
            assert not packages & {"rest_framework", "knox", "drf_spectacular"}, path
        if not any(part in path for part in interfaces):
            assert not [name for name in names if ".rest" in name], path


def test_apps__read_no_setting_that_only_the_service_has() -> None:
    read: set[str] = set()
    for source in SOURCES:
        read |= set(re.findall(r"\bsettings\.([A-Z][A-Z_]+)\b", source.read_text()))

    assert read <= OTHERS


def test_metrics_dir__is_none_where_nobody_names_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    del settings.ROLLUPS_METRICS_DIR

    assert rollups_conf.metrics_dir() is None
