"""The service that the demo runs on: the one that runs already, or one of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from rich.console import Console

from counters_project import processes, run_record
from counters_project.embedded.private import make_private_dir
from counters_project.place import BASE_DIR, CannotStartError, Place, ask_ready
from counters_project.processes import Program
from counters_project.programs import log_path
from counters_project.run_record import RunRecord

_READY_WITHIN_SECONDS = 180.0
_STOPPED_WITHIN_SECONDS = 60.0


@contextmanager
def service(place: Place, console: Console) -> Iterator[RunRecord]:
    """Yield what describes the running service; stop it afterwards if it is ours."""
    running = _running(place)
    if running is not None:
        console.print(f"Using the service that runs at {running['url']}")
        yield running
        return
    program = _program(place)
    started = time.monotonic()
    process = processes.start(program)
    try:
        with console.status("Starting the service ..."):
            described = _wait_until_ready(place, process, program)
        seconds = time.monotonic() - started
        console.print(f"Started the service at {described['url']} in {seconds:.1f} s")
        yield described
    finally:
        with console.status("Stopping the service ..."):
            processes.end(process, program)


def _running(place: Place) -> RunRecord | None:
    """Return the description of a service that answers, whatever its port."""
    described = run_record.read(place.data_dir)
    if described is None:
        return None
    at = urlsplit(described["url"])
    its_place = replace(
        place, host=at.hostname or place.host, port=at.port or place.port
    )
    return described if ask_ready(its_place) == 200 else None


def _wait_until_ready(
    place: Place, process: subprocess.Popen[bytes], program: Program
) -> RunRecord:
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        has_ended = processes.reap(process) is not None
        # Ours gives way to one that somebody else has just started.
        described = _running(place)
        if described is not None:
            return described
        if has_ended:
            break
        time.sleep(0.1)
    raise CannotStartError(
        f"The service did not start. The end of {program.log}:\n"
        f"{processes.tail(program.log)}"
    )


def _program(place: Place) -> Program:
    make_private_dir(place.data_dir)
    make_private_dir(place.data_dir / "logs")
    return Program(
        name="service",
        argv=(sys.executable, "-m", "counters_project.service"),
        env=os.environ,
        cwd=BASE_DIR,
        log=log_path(place.data_dir, "demo-service"),
        stop_signal=signal.SIGINT,
        # Should the demo be killed, its service stops in good order.
        hurry_signal=signal.SIGINT,
        stop_within_seconds=_STOPPED_WITHIN_SECONDS,
    )
