"""How long the service takes until it is well again: it acknowledges, and it folds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import uuid4

import httpx

from tests.harness import looking
from tests.harness.ledger import Ledger
from tests.harness.operations import NAMES
from tests.harness.stack import Stack

PROBE = "probe"
MOST_SECONDS = 120
_TIMEOUT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from the healing until each web process acknowledged a new add, and until
    these were folded. None where that took longer than MOST_SECONDS."""

    acknowledged_seconds: float | None
    folded_seconds: float | None


class Probe:
    """A client of the harness itself, with a counter and a ledger of its own."""

    def __init__(self, stack: Stack, *, namespace: str, ledger: Ledger) -> None:
        self._stack = stack
        self._namespace = namespace
        self._ledger = ledger
        token = stack.token_file.read_text().strip()
        self._http = httpx.Client(
            headers={"Authorization": f"Token {token}"}, timeout=_TIMEOUT_SECONDS
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def make_counters(self) -> None:
        """Make the namespace, and in it every counter: none that is read is missing."""
        api = f"{self._stack.urls[0]}/api/v1"
        body: dict[str, object] = {"name": self._namespace}
        self._http.post(f"{api}/namespaces", json=body).raise_for_status()
        tokens = {name: str(uuid4()) for name in (*NAMES, PROBE)}
        for name, token in tokens.items():
            self._ledger.attempt(name=name, token=token, delta=1)
        events = [
            {"namespace": self._namespace, "name": name, "delta": 1, "token": token}
            for name, token in tokens.items()
        ]
        answer = self._http.post(f"{api}/events", json={"events": events}, timeout=30)
        answer.raise_for_status()
        for name, token in tokens.items():
            self._ledger.acknowledged(name=name, token=token)

    def measure(self, *, healed_at: float) -> Recovery:
        for url in self._stack.urls:
            token = str(uuid4())
            self._ledger.attempt(name=PROBE, token=token, delta=1)
            if not self._stack.wait(
                lambda: self._add(url, token),  # noqa: B023
                seconds=MOST_SECONDS,
            ):
                return Recovery(None, None)
            self._ledger.acknowledged(name=PROBE, token=token)
        acknowledged = time.monotonic() - healed_at
        if not self._stack.wait(self._is_folded, seconds=MOST_SECONDS):
            return Recovery(acknowledged, None)
        return Recovery(acknowledged, time.monotonic() - healed_at)

    def _add(self, url: str, token: str) -> bool:
        try:
            answer = self._http.post(
                f"{url}/api/v1/namespaces/{self._namespace}/counters/{PROBE}/add",
                json={"delta": 1, "token": token},
            )
        except httpx.TransportError as error:
            self._ledger.trouble(f"no answer ({type(error).__name__})")
            return False
        if answer.status_code == 503:
            self._ledger.trouble("503 database-unavailable")
        elif answer.status_code != 200:
            self._ledger.wrong_answer(f"{answer.status_code}: {answer.text[:200]}")
        return answer.status_code == 200

    def _is_folded(self) -> bool:
        waiting = looking.pending(self._stack.postgres, self._namespace)
        return waiting is not None and PROBE not in waiting
