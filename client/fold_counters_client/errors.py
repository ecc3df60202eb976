"""Exceptions: problems that the service reports (RFC 9457), invalid arguments, no answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from fold_counters_client.results import Recorded


class CountersError(Exception):
    """Base of all errors of this package."""

    # The idempotency token that was sent: repeat the call with it, and it counts once.
    token: str | None = None
    # Of `add_many`: the answers to the batches before this error.
    recorded: tuple[Recorded, ...] = ()


class InvalidArgument(CountersError, ValueError):
    """An argument is invalid; `field` names it. Nothing was sent."""

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}.")
        self.field = field


class ClientClosed(CountersError):
    """The client was closed before this call. Nothing was sent."""

    def __init__(self) -> None:
        super().__init__(
            "This client is closed; make the call inside its `with` block."
        )


class UnexpectedAnswer(CountersError):
    """An answer that does not come from the service, or is about another counter."""


class BatcherFull(CountersError):
    """The service cannot be reached and the batcher is full. The event was not added."""


class NoAnswer(CountersError):
    """No attempt got an answer: the call may have counted or not."""


class Problem(CountersError):
    """The service refused the call. `code` is stable; `facts` has the error's other fields."""

    def __init__(self, status: int, code: str, detail: str, facts: dict[str, Any]):
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.facts = facts


class NotAuthenticated(Problem):
    """No API token, or a wrong, expired or revoked one."""


class AccessDenied(Problem):
    """The right for this is missing: `facts["right"]`."""


class NotFound(Problem):
    """The namespace or counter does not exist, or you may not see it."""


class TokenConflict(Problem):
    """The token was used with another delta: `facts["first_delta"]`, `facts["delta"]`."""


class OutsideAcceptWindow(Problem):
    """The event is too old or too new: `facts["accepted_from"]`, `["accepted_until"]`."""


class Throttled(Problem):
    """Too many calls in this minute, and waiting would take longer than allowed."""


class Unavailable(Problem):
    """The service cannot answer now; nothing was acknowledged."""


BY_CODE = {
    "token-conflict": TokenConflict,
    "outside-accept-window": OutsideAcceptWindow,
}
BY_STATUS = {
    401: NotAuthenticated,
    403: AccessDenied,
    404: NotFound,
    429: Throttled,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
FIELDS = ("type", "title", "status", "code", "detail")


def problem_of(response: httpx.Response) -> Problem:
    """Convert an error answer to an exception; a proxy's own page is a Problem, too."""
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = None
    if not isinstance(body, dict) or "code" not in body:
        body = {"code": "no-problem-json", "detail": response.text[:200]}
    code = str(body["code"])
    kind = BY_CODE.get(code) or BY_STATUS.get(response.status_code, Problem)
    facts = {name: value for name, value in body.items() if name not in FIELDS}
    for exact in ("delta", "first_delta"):
        if exact in facts:
            facts[exact] = int(facts[exact])
    return kind(response.status_code, code, str(body.get("detail", "")), facts)
