"""One client process: does its operations until SIGTERM, and keeps its ledger.

`python -m tests.harness.load --help`; the harness starts several of them.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

from counters_project.runner import processes
from tests.harness.calling import Caller
from tests.harness.ledger import Ledger
from tests.harness.operations import Operation, operations


def main() -> None:
    options = _options()
    processes.stop_with_parent()
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda signum, frame: done.set())
    ledger = Ledger(options.ledger)
    with Caller(
        urls=options.url,
        api_token=options.token_file.read_text().strip(),
        namespace=options.namespace,
        ledger=ledger,
    ) as caller:
        due = time.monotonic()
        for operation in operations(seed=options.seed, client=options.client):
            _do(caller, _as_patient_as_told(operation, options.impatience))
            due = max(due + 1 / options.rate, time.monotonic() - 1)
            if done.wait(max(0, due - time.monotonic())):
                break
    ledger.close()


def _do(caller: Caller, operation: Operation) -> None:
    match operation.kind:
        case "accurate" | "eventual":
            caller.read(operation.events[0].name, operation.kind)
        case "batch":
            caller.add_batch(operation)
        case "hedge":
            caller.hedge(operation)
        case "repeat":
            caller.add(operation)
            # The caller knows the token again: it is the last one.
            caller.repeat()
        case "conflict":
            if caller.add(operation):
                caller.conflict()
        case "add":
            caller.add(operation)


def _as_patient_as_told(operation: Operation, impatience: Path) -> Operation:
    return replace(operation, hasty=True) if impatience.exists() else operation


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.harness.load", description=__doc__)
    parser.add_argument("--url", action="append", required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--client", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="operations a second")
    parser.add_argument("--impatience", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
