"""The two apps go into any Django project: they know nothing of the service's own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as service
from pytest_django import Settings

from counters import conf as counters_conf
from rollups import conf as rollups_conf

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    [*(ROOT / "counters").rglob("*.py"), *(ROOT / "rollups").rglob("*.py")]
)
OWN_SETTING = re.compile(r"""["']((?:COUNTERS|ROLLUPS)_[A-Z_]+)["']""")
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


def own_settings() -> set[str]:
    return {
        name for source in SOURCES for name in OWN_SETTING.findall(source.read_text())
    }


def test_settings__are_all_described() -> None:
    pages = (ROOT / "docs/operations.md").read_text() + (
        ROOT / "docs/django.md"
    ).read_text()

    assert len(own_settings()) > 15
    assert [name for name in own_settings() if f"`{name}`" not in pages] == []


@pytest.mark.parametrize(
    ("module", "reader"),
    [
        (module, name)
        for module in (counters_conf, rollups_conf)
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, "__module__", "") == module.__name__
        and not name.startswith("_")
        and name not in {"metrics_dir", "refuse_beyond"}
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_setting__left_out_is_what_the_service_has(
    settings: Settings, module: Any, reader: str
) -> None:
    in_the_service = getattr(module, reader)()

    for name in own_settings():
        if hasattr(service, name):
            delattr(settings, name)

    assert getattr(module, reader)() == in_the_service


def test_metrics_dir__is_none_where_nobody_names_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    del settings.ROLLUPS_METRICS_DIR

    assert rollups_conf.metrics_dir() is None
