"""What the API's description says first. Read by the settings, so it imports nothing."""

from __future__ import annotations

INTRODUCTION = """\
Counters that are exact: an acknowledged add is durable, and a token counts once.

**Try it.** Press *Authorize* and paste an API token, or sign in at
[/admin/login](/admin/login/?next=/api/docs) and call with that session.

**Retries.** Send a `token` of your own with every add, best a UUIDv7, and the same one again
whenever you did not get an answer (lost connection, 429, 502, 503, 504): it counts once. That
holds for the namespace's accept window, `accept_past_seconds`, 24 hours unless changed.

**Names.** A counter's name is any text; in a path it is percent-encoded: `page/home` is
`page%2Fhome`. The calls *by name* take the name in the body or the query; use them behind
proxies that decode paths.

**Numbers.** Counts have no upper limit. Beyond ±(2⁵³-1) they are sent as text, digit by digit.

**Errors** are `application/problem+json` (RFC 9457), with a stable `code`. What you may not see
is a 404, as if it were not there.
"""

TAGS = [
    {"name": "counters", "description": "Add, read, clear, list, series."},
    {
        "name": "counters by name",
        "description": "The same with the name in the body or the query.",
    },
    {"name": "events", "description": "Many adds in one call."},
    {"name": "namespaces", "description": "The control plane: settings and access."},
    {"name": "health", "description": "For load balancers; needs no token."},
]
