"""Use the running service for the demo, or start one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from counters_project.embedded.data_dir import make_private_dir
from counters_project.runner import processes
from counters_project.runner.command_lines import log_path
from counters_project.runner.config import (
    BASE_DIR,
    CannotStartError,
    RunConfig,
    RunRecord,
    ask_ready,
    read_run_record,
)
from counters_project.runner.processes import Program

_READY_WITHIN_SECONDS = 180.0
_STOPPED_WITHIN_SECONDS = 60.0


@contextmanager
def service(config: RunConfig, console: Console) -> Iterator[RunRecord]:
    """Yield run.json of a running service; stop the service if the demo started it."""
    running = _running(config)
    if running is not None:
        console.print(f"Using the service at {running['url']}")
        yield running
        return
    program = _program(config)
    started = time.monotonic()
    process = processes.start(program)
    try:
        with console.status("Starting the service ..."):
            described = _wait_until_ready(config, process, program)
        seconds = time.monotonic() - started
        console.print(f"Started the service at {described['url']} in {seconds:.1f} s")
        yield described
    finally:
        with console.status("Stopping the service ..."):
            processes.end(process, program)


def _running(config: RunConfig) -> RunRecord | None:
    """Return run.json of a service that is ready, on any port."""
    described = read_run_record(config.data_dir)
    if described is None or ask_ready(described["url"]) != 200:
        return None
    return described


def _wait_until_ready(
    config: RunConfig, process: subprocess.Popen[bytes], program: Program
) -> RunRecord:
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while time.monotonic() < deadline:
        has_ended = processes.reap(process) is not None
        # Our service ends if the user has started one at the same time.
        described = _running(config)
        if described is not None:
            return described
        if has_ended:
            break
        time.sleep(0.1)
    raise CannotStartError(
        f"The service did not start. The end of {program.log}:\n"
        f"{processes.tail(program.log)}"
    )


def _program(config: RunConfig) -> Program:
    make_private_dir(config.data_dir)
    make_private_dir(config.data_dir / "logs")
    return Program(
        name="service",
        argv=(sys.executable, "-m", "counters_project.runner"),
        env=os.environ,
        cwd=BASE_DIR,
        log=log_path(config.data_dir, "demo-service"),
        stop_signal=signal.SIGINT,
        # If the demo is killed, the service still stops in order.
        hurry_signal=signal.SIGINT,
        stop_within_seconds=_STOPPED_WITHIN_SECONDS,
    )
