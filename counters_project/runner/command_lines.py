"""The command line and environment of each program of the service."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from counters_project import embedded, env
from counters_project.runner.config import BASE_DIR
from counters_project.runner.processes import OWNER_VARIABLE, Program

# Gunicorn's workers touch a heartbeat file, which can block on a busy disk.
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The settings that all programs of this service share."""

    data_dir: Path
    database_url: str
    broker_url: str
    cache_url: str
    allowed_hosts: str

    def variables(self, role: str) -> dict[str, str]:
        return os.environ | {
            "DATA_DIR": str(self.data_dir),
            "DATABASE_URL": self.database_url,
            "CELERY_BROKER_URL": self.broker_url,
            "CACHE_URL": self.cache_url,
            "ALLOWED_HOSTS": self.allowed_hosts,
            # A random private key is enough for the service of one machine.
            "SECRET_KEY": env.text("SECRET_KEY", "")
            or embedded.secret_key(self.data_dir),
            "COUNTERS_ROLE": role,
            "PYTHONUNBUFFERED": "1",
            OWNER_VARIABLE: str(self.data_dir),
        }


def web(environment: Environment, *, bind: str) -> Program:
    """Return the web server: few processes, each with many threads."""
    # WEB_WORKERS: web processes. WEB_THREADS: requests that each answers at once.
    workers = env.integer("WEB_WORKERS", _processors(at_least=2), at_least=1)
    threads = env.integer("WEB_THREADS", 16, at_least=1)
    argv = ["gunicorn", "counters_project.wsgi:application", "--bind", bind]
    argv += ["--worker-class", "gthread", "--workers", str(workers)]
    argv += ["--threads", str(threads), "--keep-alive", "30", "--timeout", "60"]
    argv += ["--graceful-timeout", "8", "--no-control-socket"]
    # Never take the request's path from a header, not even from a proxy.
    argv += ["--forwarder-headers", ""]
    if os.access(_SHARED_MEMORY, os.W_OK):
        argv += ["--worker-tmp-dir", str(_SHARED_MEMORY)]
    return _python(environment, "web", argv)


def worker(environment: Environment) -> Program:
    """Return the Celery worker, the process that folds."""
    # WORKER_CONCURRENCY: folds that run at once.
    concurrency = env.integer("WORKER_CONCURRENCY", _processors(), at_least=1)
    # The name depends on the data directory, because two services may share a broker.
    digest = hashlib.sha256(os.fsencode(environment.data_dir)).hexdigest()[:6]
    argv = ["celery", "--app", "counters_project", "worker"]
    argv += ["--hostname", f"counters-{digest}@%h", "--concurrency", str(concurrency)]
    argv += ["--loglevel", "WARNING", "--without-gossip", "--without-mingle"]
    return _python(environment, "worker", argv)


def beat(environment: Environment) -> Program:
    """Return Celery beat, the process that starts the sweeps."""
    schedule = environment.data_dir / "beat-schedule"
    argv = ["celery", "--app", "counters_project", "beat", "--pidfile="]
    argv += ["--schedule", str(schedule), "--loglevel", "WARNING"]
    return _python(environment, "beat", argv)


def command(environment: Environment, *words: str) -> Program:
    """Return a management command; its output goes to logs/setup.log."""
    return Program(
        name=f"manage.py {words[0]}",
        argv=(sys.executable, str(BASE_DIR / "manage.py"), *words),
        env=environment.variables("command"),
        cwd=BASE_DIR,
        log=log_path(environment.data_dir, "setup"),
        stop_signal=signal.SIGINT,
    )


def log_path(data_dir: Path, name: str) -> Path:
    """Return the log file of a program."""
    return data_dir / "logs" / f"{name}.log"


def _python(environment: Environment, name: str, module: list[str]) -> Program:
    return Program(
        name=name,
        argv=(sys.executable, "-m", *module),
        env=environment.variables(name),
        cwd=BASE_DIR,
        log=log_path(environment.data_dir, name),
    )


def _processors(*, at_least: int = 1) -> int:
    return min(max(os.cpu_count() or 1, at_least), 4)
