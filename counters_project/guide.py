"""Tells the person at the keyboard where the service is and what to try."""

from __future__ import annotations

import shlex
from pathlib import Path

from counters_project import run_record
from counters_project.terminal import say


def print_running(data_dir: Path) -> None:
    """Say what runs on this data directory already."""
    described = run_record.read(data_dir)
    if described is None:  # it stopped this very moment
        say("Another service with this data has just stopped; start again.")
        return
    pids = ", ".join(f"{name} {pid}" for name, pid in described["pids"].items())
    say(f"The counter service runs already at {described['url']} (processes: {pids}).")
    print_guide(data_dir, described["url"])


def print_guide(data_dir: Path, url: str) -> None:
    """Say where everything is, with calls ready to paste."""
    token = shlex.quote(short(data_dir / "token"))
    curl = f'curl -H "Authorization: Token $(cat {token})"'
    counter = f"{url}/api/v1/namespaces/demo/counters/hello"
    say(f"  API         {url}/api/docs")
    say(f"  operations  {url}/ops (for staff: manage.py createsuperuser)")
    say(f"  metrics     {url}/metrics")
    say(f"  API token   {short(data_dir / 'token')}")
    say(f"  logs        {short(data_dir / 'logs')}")
    say()
    say("Add 1 to the counter demo/hello, then read it:")
    json_header = '-H "Content-Type: application/json"'
    say(f"  {curl} {json_header} -d '{{\"delta\": 1}}' {counter}/add")
    say(f"  {curl} '{counter}?accuracy=accurate'")


def short(path: Path) -> str:
    """Return the path as a person in the current directory would type it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
