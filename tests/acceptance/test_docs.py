"""README, quickstart and how-tos are right: their commands and snippets are run; `make demo` too.

A page is run from top to bottom, as its reader would run it, in a folder that looks like the
checkout of a running service. In a `console` block the lines after a command are what it
prints (`...` stands for anything); a command without such lines may print anything. Each
`python` block runs in a new Python shell.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.acceptance.conftest import BASE_DIR, Service, service_in, wait_until

pytestmark = pytest.mark.acceptance

HOW_TOS = sorted((BASE_DIR / "docs/howto").glob("*.md"))
PAGES = [
    "README.md",
    "client/README.md",
    "docs/quickstart.md",
    *(str(page.relative_to(BASE_DIR)) for page in HOW_TOS),
]
# What the reader of a snippet already has: a saved order, a service's address.
GIVEN = """
import sys
sys.path.insert(0, "client")
from pathlib import Path
from types import SimpleNamespace as Thing
from uuid import uuid4
url, token = "http://127.0.0.1:8000", Path(".local/token").read_text().strip()
lines = [Thing(product_id=1, quantity=2), Thing(product_id=2, quantity=1)]
order = Thing(pk=17, save=lambda: None)
views = visits = [Thing(path="home", id=str(uuid4())), Thing(path="news", id=str(uuid4()))]
"""
# These lines belong into the reader's own Django project; the guide's test runs them there.
IN_A_PROJECT = "class Article(models.Model)"
END = "the command has ended"


@pytest.fixture(scope="module")
def started_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of which no process was killed before."""
    with service_in(tmp_path_factory.mktemp("service")) as service:
        yield service


@dataclass(frozen=True)
class Step:
    """A command, and the output that the page shows ("" where it shows none)."""

    command: str
    printed: str


def test_steps__are_read_from_the_page() -> None:
    page = "```console\n$ one\n$ two \\\n    more\nanswer\n\n$ three\n```\n```python\nx\n```"

    assert steps_of(page) == [
        Step("one", ""),
        Step("two \\\n    more", "answer"),
        Step("three", ""),
        Step(_in_a_shell("x\n"), ""),
    ]


def test_pages__hide_no_command_from_the_test() -> None:
    """Indented commands, and those that start at `manage.py`, cannot be typed as they stand."""
    for page in PAGES:
        if page == "README.md":
            continue
        text = (BASE_DIR / page).read_text()
        shown = re.sub(r"```(console|python|text).*?```", "", text, flags=re.DOTALL)
        assert not re.findall(r"^    \S.*", shown, re.MULTILINE), page
        assert not re.findall(r"```(?!console|python|text|\{)\w+", shown), page


@pytest.mark.parametrize("page", PAGES)
def test_page__does_what_it_says(page: str, service: Service, tmp_path: Path) -> None:
    steps = steps_of((BASE_DIR / page).read_text())
    _forget_counts(service)
    # The reader has read for some seconds before the first command that asks for a sweep.
    metrics = f"http://127.0.0.1:{service.port}/metrics"
    wait_until(lambda: "rollups_last_sweep_age_seconds " in httpx.get(metrics).text)
    script = ["set -e -o pipefail"]
    for step in steps:
        command = step.command.replace("127.0.0.1:8000", f"127.0.0.1:{service.port}")
        script += [command, f"echo; echo '{END}'"]

    ended = _run("\n".join(script), _checkout(tmp_path, service), service)

    printed = [text.strip() for text in ended.stdout.split(f"{END}\n")]
    assert ended.returncode == 0, (steps[len(printed) - 1], ended.stderr)
    for step, text in zip(steps, printed, strict=False):
        assert not step.printed or re.fullmatch(
            _pattern(step.printed), text, re.DOTALL
        ), (step, text)


def test_demo__is_exact_and_changes_nothing_again(service: Service) -> None:
    first = _demo(service)
    if "could not be downloaded" in first.stdout:
        pytest.skip("the departures come from PyPI, which does not answer")
    again = _demo(service)

    assert first.stdout.splitlines()[-1] == "exact: 194 of 194 counters", first
    assert "6,000 events added, 0 duplicates" in first.stdout
    assert again.stdout.splitlines()[-1] == "exact: 194 of 194 counters", again
    assert "0 events added, 6,000 duplicates" in again.stdout
    assert (first.returncode, again.returncode) == (0, 0)
    # A story for people: no line of a library's log.
    assert "INFO" not in first.stdout + first.stderr
    assert first.stderr == again.stderr == ""
    assert service.run_file.exists()


def _demo(service: Service) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "counters_project.demo", "--rows", "2000"],
        cwd=BASE_DIR,
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def steps_of(page: str) -> list[Step]:
    """Return the page's commands and snippets, in order."""
    steps = []
    for kind, block in re.findall(r"```(console|python)\n(.*?)```", page, re.DOTALL):
        if kind == "python" and IN_A_PROJECT not in block:
            steps.append(Step(_in_a_shell(block), ""))
        elif kind == "console":
            steps += [
                Step(found[1], found[2].strip())
                for found in re.finditer(
                    r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE
                )
            ]
    return steps


def _in_a_shell(snippet: str) -> str:
    return (
        ".venv/bin/python manage.py shell --no-imports <<'PYTHON'\n"
        f"exec({GIVEN + snippet!r})\nPYTHON"
    )


def _pattern(printed: str) -> str:
    # A worker may or may not have folded the event by then: that takes milliseconds.
    pattern = re.escape(printed).replace(r"\.\.\.", ".*")
    return pattern.replace('"pending":false', '"pending":(true|false)')


def _checkout(folder: Path, service: Service) -> Path:
    """Make a folder that looks like a checkout, in which the page may write files."""
    for name in ("client", "docs", "examples", "manage.py", "ops", "pyproject.toml"):
        (folder / name).symlink_to(BASE_DIR / name)
    (folder / ".local").symlink_to(service.data_dir)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def _forget_counts(service: Service) -> None:
    """Delete the counters, namespaces and users that the previous page made."""
    _run(
        f"{sys.executable} manage.py shell --no-imports <<'PYTHON'\n{FORGET}\nPYTHON",
        BASE_DIR,
        service,
    ).check_returncode()


FORGET = """
from counters.namespaces import deletion
from counters.models import Counter, Namespace
from django.contrib.auth.models import User
for namespace in Namespace.objects.exclude(name="demo"):
    deletion.delete_namespace(namespace=namespace.name, confirm=namespace.name)

for counter in Counter.objects.all():
    deletion.delete_counter(namespace="demo", name=counter.name, confirm=counter.name)

User.objects.filter(username="alice").delete()
"""


def _run(
    script: str, folder: Path, service: Service
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=service.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
