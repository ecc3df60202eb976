"""Runs the whole service on one machine: `python -m counters_project.service`.

Set PORT, HOST and DATA_DIR to change where; set DATABASE_URL, CELERY_BROKER_URL or
CACHE_URL to use a server of your own instead of the embedded one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.core.exceptions import ImproperlyConfigured

from counters_project import (
    embedded,
    env,
    leftovers,
    processes,
    programs,
    run_record,
)
from counters_project.embedded import postgres, valkey
from counters_project.embedded.private import make_private_dir, refuse_shared
from counters_project.guide import print_guide, print_running, short
from counters_project.place import (
    CannotStartError,
    Place,
    ask_ready,
    check_port,
    read_place,
)
from counters_project.programs import Environment, log_path
from counters_project.supervisor import ChildKeepsEndingError, StopRequested, Supervisor
from counters_project.terminal import say

_READY_WITHIN_SECONDS = 120.0
_SETTLED_AFTER_SECONDS = 2.0
_WAIT_FOR_ANOTHER_SECONDS = 120.0
_LOGS = ("postgres", "valkey", "setup", "worker", "beat", "web")


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C or SIGTERM. Return 0 then, and where a service runs already."""
    if "--stop-with-parent" in arguments:
        processes.stop_with_parent()
    try:
        place = read_place()
    except ImproperlyConfigured as error:
        say(str(error))
        return 2
    supervisor = Supervisor(record=place.data_dir / "children.json", say=say)
    supervisor.listen_to_signals()
    # Whatever any program of ours writes is for its owner only.
    os.umask(0o077)
    try:
        make_private_dir(place.data_dir)
        refuse_shared(place.data_dir)
        lock = _lock(place.data_dir, supervisor)
        if lock is None:
            print_running(place.data_dir)
            return 0
        with lock:
            return _serve(place, supervisor)
    except StopRequested:
        return 0
    except (
        CannotStartError,
        ImproperlyConfigured,
        embedded.EmbeddedError,
        OSError,
    ) as error:
        say(f"The service cannot start. {error}")
        return 1


def _serve(place: Place, supervisor: Supervisor) -> int:
    try:
        _start(place, supervisor)
        supervisor.run()
    except StopRequested:
        say("\nStopping.")
        return 0
    except (
        CannotStartError,
        ChildKeepsEndingError,
        ImproperlyConfigured,
        embedded.EmbeddedError,
        OSError,
    ) as error:
        say(f"\nThe service cannot start. {error}")
        return 1
    finally:
        run_record.remove(place.data_dir)
        supervisor.stop()
        say("Everything is stopped.")


def _start(place: Place, supervisor: Supervisor) -> None:
    run_record.remove(place.data_dir)
    ended = leftovers.end_leftovers(supervisor.record)
    say(f"Starting the counter service; its data is in {short(place.data_dir)}")
    if ended:
        say(f"  ended what the last run left behind: {', '.join(ended)}")
    check_port(place)
    _set_logs_aside(place.data_dir)
    environment = _start_servers(place, supervisor)
    with _reported("migrations"):
        _run_command(supervisor, environment, "migrate", "--no-input")
    token_file = place.data_dir / "token"
    with _reported("demo namespace and API token"):
        _run_command(
            supervisor, environment, "create_demo", "--token-file", str(token_file)
        )
    with _reported("worker, beat and web server"):
        supervisor.start(programs.worker(environment))
        supervisor.start(programs.beat(environment))
        supervisor.start(programs.web(environment, bind=place.bind))
        _wait_until_ready(place, supervisor)
        # The worker and beat answer nobody; one that cannot run ends within this time.
        supervisor.settle(_SETTLED_AFTER_SECONDS)

    def write_run_record() -> None:
        pids = supervisor.pids()
        run_record.write(
            place.data_dir,
            {
                "url": place.url,
                "token": token_file.read_text().strip(),
                "database_url": environment.database_url,
                "broker_url": environment.broker_url,
                "cache_url": environment.cache_url,
                "pids": {
                    name: pids[name]
                    for name in ("web", "worker", "beat")
                    if name in pids
                },
            },
        )

    write_run_record()
    supervisor.when_pids_change = write_run_record
    say()
    say(f"The counter service runs at {place.url} - Ctrl-C stops it.")
    print_guide(place.data_dir, place.url)


def _start_servers(place: Place, supervisor: Supervisor) -> Environment:
    """Start an embedded server for each one that the environment does not name."""
    data_dir = place.data_dir
    database_url = env.text("DATABASE_URL", "")
    broker_url = env.text("CELERY_BROKER_URL", "")
    cache_url = env.text("CACHE_URL", "")
    if not database_url:
        database_url = embedded.database_url(data_dir)
        with _reported("PostgreSQL"):
            postgres.prepare(data_dir)
            supervisor.start(
                postgres.program(data_dir, log=log_path(data_dir, "postgres"))
            )
            postgres.wait_until_ready(data_dir, pause=supervisor.pause, say=say)
            postgres.ensure_database(data_dir)
    if not broker_url or not cache_url:
        with _reported("Valkey"):
            valkey.prepare(data_dir)
            supervisor.start(valkey.program(data_dir, log=log_path(data_dir, "valkey")))
            valkey.wait_until_ready(data_dir, pause=supervisor.pause)
        broker_url = broker_url or valkey.broker_url(data_dir)
        cache_url = cache_url or valkey.cache_url(data_dir)
    hosts = f"localhost,127.0.0.1,[::1],{place.host_in_url}"
    return Environment(
        data_dir=data_dir,
        database_url=database_url,
        broker_url=broker_url,
        cache_url=cache_url,
        allowed_hosts=env.text("ALLOWED_HOSTS", hosts),
    )


def _run_command(supervisor: Supervisor, environment: Environment, *words: str) -> None:
    program = programs.command(environment, *words)
    code = supervisor.run_step(program)
    if code:
        raise CannotStartError(
            f"{program.name} ended with exit code {code}. The end of {program.log}:\n"
            f"{processes.tail(program.log)}"
        )


def _wait_until_ready(place: Place, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while (answer := ask_ready(place)) != 200:
        if time.monotonic() > deadline:
            raise CannotStartError(
                f"{place.url}/readyz answers {answer} after"
                f" {_READY_WITHIN_SECONDS:.0f} s. The logs are in"
                f" {short(place.data_dir / 'logs')}."
            )
        supervisor.pause(0.1)


def _lock(data_dir: Path, supervisor: Supervisor) -> IO[str] | None:
    """Lock the data directory; nothing where a service runs on it and is ready.

    One that starts or stops is waited for.
    """
    deadline = time.monotonic() + _WAIT_FOR_ANOTHER_SECONDS
    waiting = False
    while (lock := run_record.try_lock(data_dir)) is None:
        if run_record.read(data_dir) is not None:
            return None
        if time.monotonic() > deadline:
            raise CannotStartError(
                f"Another service holds {data_dir / 'lock'}, but is not ready."
            )
        if not waiting:
            say("Another service with this data is starting or stopping; waiting.")
        waiting = True
        supervisor.pause(0.1)
    return lock


def _set_logs_aside(data_dir: Path) -> None:
    """Keep the logs of the last run as *.log.1, and begin new ones."""
    make_private_dir(data_dir / "logs")
    for name in _LOGS:
        log = log_path(data_dir, name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))


@contextmanager
def _reported(step: str) -> Iterator[None]:
    started = time.monotonic()
    say(f"  {step} ...")
    yield
    say(f"  {step}: ready after {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
