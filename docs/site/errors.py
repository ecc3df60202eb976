"""Every error that a caller can do something about."""

from __future__ import annotations

from counters.errors import BatchRefused, CountersError
from counters.rest.problems import STATUS_OF
from docs.site.tables import table

INTRODUCTION = """# Errors

In Python each is a subclass of `counters.errors.CountersError`; its `message` names the value at
fault and says what would be right. Over REST the `code` and the status below come in a problem
body (RFC 9457). [The API's page](../api.md#errors) has the errors of HTTP itself as well.

"""


def text() -> str:
    rows = [
        (
            f"`{error.__name__}`",
            f"`{error.code}`",
            "that of the event's error"
            if error is BatchRefused
            else str(STATUS_OF[error].value)
            if error in STATUS_OF
            else "commands only",
            " ".join((error.__doc__ or "").split()),
        )
        for error in CountersError.__subclasses__()
    ]
    return INTRODUCTION + table(["error", "code", "status", "meaning"], rows) + "\n"
