"""Run the whole service on one machine: `python -m counters_project.runner`.

PORT, HOST and DATA_DIR say where it answers and keeps its data. Set DATABASE_URL,
CELERY_BROKER_URL or CACHE_URL to use your own server instead of an embedded one.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from django.core.exceptions import ImproperlyConfigured

from counters_project import embedded, env
from counters_project.embedded import postgres, valkey
from counters_project.embedded.data_dir import make_private_dir, refuse_shared
from counters_project.runner import command_lines, processes
from counters_project.runner.command_lines import Environment, log_path
from counters_project.runner.config import (
    CannotStartError,
    RunConfig,
    ask_ready,
    check_port,
    lock_data_dir,
    read_config,
    read_run_record,
    remove_run_record,
    write_run_record,
)
from counters_project.runner.supervisor import StopRequested, Supervisor

_READY_WITHIN_SECONDS = 120.0
_SETTLED_AFTER_SECONDS = 2.0
_WAIT_FOR_ANOTHER_SECONDS = 120.0
_LOGS = ("postgres", "valkey", "setup", "worker", "beat", "web")


def main(arguments: list[str]) -> int:
    """Run until Ctrl-C or SIGTERM; return 0 then, or if the service already runs."""
    if "--stop-with-parent" in arguments:
        processes.stop_with_parent()
    try:
        config = read_config()
    except ImproperlyConfigured as error:
        say(str(error))
        return 2
    supervisor = Supervisor(record=config.data_dir / "children.json", say=say)
    supervisor.listen_to_signals()
    # Files of every program that we start are readable by their owner only.
    os.umask(0o077)
    try:
        make_private_dir(config.data_dir)
        refuse_shared(config.data_dir)
        lock = _lock(config.data_dir, supervisor)
        if lock is None:
            print_running(config.data_dir)
            return 0
        with lock:
            _serve(config, supervisor)
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


def _serve(config: RunConfig, supervisor: Supervisor) -> NoReturn:
    """Run the service until StopRequested, or an error; stop what runs, then raise it."""
    try:
        _start(config, supervisor)
        supervisor.run()
    except StopRequested:
        say("\nStopping the service.")
        raise
    finally:
        remove_run_record(config.data_dir)
        supervisor.stop()
        say("The service has stopped.")


def _start(config: RunConfig, supervisor: Supervisor) -> None:
    remove_run_record(config.data_dir)
    ended = processes.end_orphans(supervisor.record)
    say(f"Starting the counter service. Data directory: {short(config.data_dir)}")
    if ended:
        say(f"  ended processes of the last run: {', '.join(ended)}")
    check_port(config)
    _rotate_logs(config.data_dir)
    environment = _start_servers(config, supervisor)
    with _reported("migrations"):
        _run_command(supervisor, environment, "migrate", "--no-input")
    token_file = config.data_dir / "token"
    with _reported("demo namespace and API token"):
        _run_command(
            supervisor, environment, "create_demo", "--token-file", str(token_file)
        )
    with _reported("worker, beat and web server"):
        supervisor.start(command_lines.worker(environment))
        supervisor.start(command_lines.beat(environment))
        supervisor.start(command_lines.web(environment, bind=config.bind))
        _wait_until_ready(config, supervisor)
        # Worker and beat have no health check. If one cannot run, it ends within this time.
        supervisor.settle(_SETTLED_AFTER_SECONDS)

    def describe_run() -> None:
        pids = supervisor.pids()
        write_run_record(
            config.data_dir,
            {
                "url": config.url,
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

    describe_run()
    supervisor.when_pids_change = describe_run
    say()
    say(f"The counter service runs at {config.url}. Press Ctrl-C to stop it.")
    print_guide(config.data_dir, config.url)


def _start_servers(config: RunConfig, supervisor: Supervisor) -> Environment:
    """Start an embedded server for each server that has no URL in the environment."""
    data_dir = config.data_dir
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
    hosts = f"localhost,127.0.0.1,[::1],{config.host_in_url}"
    return Environment(
        data_dir=data_dir,
        database_url=database_url,
        broker_url=broker_url,
        cache_url=cache_url,
        allowed_hosts=env.text("ALLOWED_HOSTS", hosts),
    )


def _run_command(supervisor: Supervisor, environment: Environment, *words: str) -> None:
    program = command_lines.command(environment, *words)
    code = supervisor.run_step(program)
    if code:
        raise CannotStartError(
            f"{program.name} ended with exit code {code}. The end of {program.log}:\n"
            f"{processes.tail(program.log)}"
        )


def _wait_until_ready(config: RunConfig, supervisor: Supervisor) -> None:
    deadline = time.monotonic() + _READY_WITHIN_SECONDS
    while (answer := ask_ready(config.url)) != 200:
        if time.monotonic() > deadline:
            raise CannotStartError(
                f"{config.url}/readyz answers {answer} after"
                f" {_READY_WITHIN_SECONDS:.0f} s. The logs are in"
                f" {short(config.data_dir / 'logs')}."
            )
        supervisor.pause(0.1)


def _lock(data_dir: Path, supervisor: Supervisor) -> IO[str] | None:
    """Lock the data directory; return None if a service that uses it is ready.

    Wait for a service that is starting or stopping.
    """
    deadline = time.monotonic() + _WAIT_FOR_ANOTHER_SECONDS
    waiting = False
    while (lock := lock_data_dir(data_dir)) is None:
        if read_run_record(data_dir) is not None:
            return None
        if time.monotonic() > deadline:
            raise CannotStartError(
                f"Another service holds the lock {data_dir / 'lock'} but is not ready."
                " See its logs, or stop it."
            )
        if not waiting:
            say("Another service that uses this data is starting or stopping. Waiting.")
        waiting = True
        supervisor.pause(0.1)
    return lock


def _rotate_logs(data_dir: Path) -> None:
    """Rename the logs of the last run to *.log.1."""
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


def print_running(data_dir: Path) -> None:
    """Say which service already uses this data directory."""
    described = read_run_record(data_dir)
    if described is None:  # it stopped a moment ago
        say("Another service that used this data has just stopped. Start again.")
        return
    pids = ", ".join(f"{name} {pid}" for name, pid in described["pids"].items())
    say(f"The counter service already runs at {described['url']} (processes: {pids}).")
    print_guide(data_dir, described["url"])


def print_guide(data_dir: Path, url: str) -> None:
    """Print the addresses and files, and calls that are ready to paste."""
    token = shlex.quote(short(data_dir / "token"))
    curl = f'curl -H "Authorization: Token $(cat {token})"'
    counter = f"{url}/api/v1/namespaces/demo/counters/hello"
    say(f"  API         {url}/api/docs")
    say(f"  operations  {url}/ops (needs a login: manage.py createsuperuser)")
    say(f"  metrics     {url}/metrics")
    say(f"  API token   {short(data_dir / 'token')}")
    say(f"  logs        {short(data_dir / 'logs')}")
    say()
    say("Add 1 to the counter `hello` in the namespace `demo`, then read it:")
    json_header = '-H "Content-Type: application/json"'
    say(f"  {curl} {json_header} -d '{{\"delta\": 1}}' {counter}/add")
    say(f"  {curl} '{counter}?accuracy=accurate'")


def short(path: Path) -> str:
    """Return the path relative to the current directory if it is inside it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def say(line: str = "") -> None:
    """Print a line at once; ignore a terminal that was closed."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
