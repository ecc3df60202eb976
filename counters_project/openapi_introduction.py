"""The introduction of the API's description. The settings read it, so it imports nothing."""

from __future__ import annotations

INTRODUCTION = """\
Exact counters: an acknowledged add is durable, and a token counts once.

**Try it.** Press *Authorize* and paste an API token, or sign in at
[/admin/login](/admin/login/?next=/api/docs) and call with that session.

**Retries.** Send your own `token` with every add, best a UUIDv7. If you get no answer (lost
connection, 429, 502, 503, 504), send the same token again: it counts once. This is safe within
the namespace's accept window, `accept_past_seconds`, 24 hours by default.

**Names.** A counter's name is any text; in a path it is percent-encoded: `page/home` is
`page%2Fhome`. The calls *by name* take the name in the body or the query; use them behind
proxies that decode paths.

**Numbers.** Counts have no upper limit. Beyond ±(2⁵³-1) they are sent as text, digit by digit.

**Errors** are `application/problem+json` (RFC 9457), with a stable `code`. If you may not see
something, the answer is 404, as if it did not exist.
"""

TAGS = [
    {"name": "counters", "description": "Add, read, clear, list; sums over time."},
    {
        "name": "counters by name",
        "description": "The same calls with the name in the body or the query.",
    },
    {"name": "events", "description": "Many adds in one call."},
    {"name": "namespaces", "description": "Settings of namespaces."},
    {"name": "health", "description": "For load balancers; needs no token."},
]
