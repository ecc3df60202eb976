"""Subcommands that write, read, clear and delete counters."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from typing import Any

from counters import events
from counters.errors import counted, shown, stamp
from counters.importing.mapping import WHOLE_NUMBER
from counters.namespaces import deletion, lookup
from counters.recording.validation import DELTA_WANTED
from counters.rest.schemas import recorded_body
from rollups import counts
from rollups.commands.base import (
    CONFIRM,
    COUNTER,
    NAMESPACE,
    Output,
    arg,
    confirm,
    instant,
    subcommand,
    whole_number,
)
from rollups.reading import listing
from rollups.reading.read import choose_accuracy
from rollups.rest.schemas import cleared_body, count_body, reading_body

_GENERATION_TIME = arg(
    "--generation-time",
    type=instant,
    metavar="INSTANT",
    help="when the event happened, such as 2026-01-31T12:00:00Z (default: now)",
)


def _delta(text: str) -> int:
    """Parse digits only: `int` would also take `1_000`, ` 7` and digits of other scripts."""
    # It takes at most 40 digits; `int` takes at most 4,300.
    if not WHOLE_NUMBER.fullmatch(text):
        raise ArgumentTypeError(f"{shown(text)} is not {DELTA_WANTED}, in digits")
    return int(text)


@subcommand(
    "add",
    "Add to a counter. The first add creates the counter.",
    *COUNTER,
    arg("delta", type=_delta, nargs="?", default=1, help="a whole number (default: 1)"),
    arg(
        "--token",
        help="idempotency token: the same token counts once for each counter",
    ),
    _GENERATION_TIME,
    arg(
        "--get",
        choices=["eventual", "accurate", "best-effort"],
        help="print the count after the add",
    ),
    about="When this command ends without an error, the event is durable.",
    examples="""\
  manage.py counters add demo page/home             add 1
  manage.py counters add demo balance -250          subtract 250
  manage.py counters add demo page/home 3 --token order-17
      add 3 once, even if the command is repeated within the accept window
  manage.py counters add demo page/home --get accurate
      add 1, then print the count, which includes this add
""",
)
def add(out: Output, options: Any) -> None:
    accuracy = None
    if options.get:
        # Checked before the write: an add that counted must not end as refused.
        found = lookup.get(options.namespace)
        accuracy = choose_accuracy(found, options.get)
    counter = {"namespace": options.namespace, "name": options.name}
    recorded = events.add(
        **counter,
        delta=options.delta,
        token=options.token,
        generation_time=options.generation_time,
    )
    body = recorded_body(recorded)
    if accuracy:
        read = counts.get_or_zero(**counter, accuracy=accuracy)
        out.answer({**body, **count_body(read)}, str(read.count))
        return
    said = f"Added {options.delta:+d} to {options.namespace}/{options.name}"
    if recorded.duplicate:
        said = f"Already counted, with event time {body['event_time']}"
    token = f" (token {body['token']})" if body["token"] else ""
    out.answer(body, f"{said}{token}.")


@subcommand(
    "get",
    "Read a counter.",
    *COUNTER,
    arg(
        "--accuracy",
        choices=["eventual", "accurate"],
        help="eventual: the folded count; accurate: the folded count and the pending"
        " events (default: depends on the namespace's counter type)",
    ),
    examples="""\
  manage.py counters get demo page/home
  manage.py counters get demo page/home --accuracy accurate
      includes every event that was committed before this command began
  manage.py counters get demo page/home --json | jq .count
""",
)
def get(out: Output, options: Any) -> None:
    read = counts.get(
        namespace=options.namespace, name=options.name, accuracy=options.accuracy
    )
    out.answer(reading_body(read), str(read.count))
    if read.pending and read.accuracy == "eventual" and not out.as_json:
        out.warn(
            f"Events are pending; this count is as of {stamp(read.as_of)}."
            " Use --accuracy accurate to include them."
        )


@subcommand(
    "list",
    "List the counters of a namespace with their eventual counts.",
    NAMESPACE,
    arg(
        "--ordering",
        choices=listing.ORDERINGS,
        default="name",
        help="sort field; prefix - for descending order (default: %(default)s)",
    ),
    arg(
        "--search",
        default="",
        metavar="TEXT",
        help="only counters whose name contains this text",
    ),
    arg(
        "--limit",
        type=whole_number(1),
        default=100,
        metavar="COUNTERS",
        help="list at most this many counters (default: %(default)s)",
    ),
    about="""\
Prints a table on a terminal. Elsewhere it prints lines of name, count and last write, separated by
tabs.""",
    examples="""\
  manage.py counters list demo
  manage.py counters list demo --ordering=-count --limit 10       the ten highest counts
  manage.py counters list demo --search page/ --json | jq '.[].count'
""",
)
def list_counters(out: Output, options: Any) -> None:
    limit = options.limit
    # One more than is shown tells whether there are more.
    found = list(_readings(options, most=limit + 1))
    shown = found[:limit]
    if len(found) > limit:
        out.warn(
            f"These are the first {counted(limit, 'counter')}; there are more."
            " Give --limit."
        )
    out.answer_list(
        [reading_body(one) for one in shown],
        ("counter", "count", "last write", ""),
        [
            (
                one.name,
                f"{one.count:,}" if out.is_terminal else str(one.count),
                stamp(one.last_write_at) if one.last_write_at else "",
                "pending" if one.pending else "",
            )
            for one in shown
        ],
    )


@subcommand(
    "clear",
    "Set a counter to 0.",
    *COUNTER,
    arg("--token", help="idempotency token of this clear"),
    _GENERATION_TIME,
    about="""\
An event subtracts the accurate count. So no event is lost, and adds that are made at the same time
still count.""",
    examples="""\
  manage.py counters clear demo page/home
  manage.py counters clear demo page/home --token month-2026-05
      clears once, even if the command is repeated within the accept window
""",
)
def clear(out: Output, options: Any) -> None:
    cleared = counts.clear(
        namespace=options.namespace,
        name=options.name,
        token=options.token,
        generation_time=options.generation_time,
    )
    said = (
        f"Already cleared with token {cleared.token}."
        if cleared.duplicate
        else f"Cleared {options.namespace}/{options.name}; the count was"
        f" {cleared.count_before}."
    )
    out.answer(cleared_body(cleared, may_read=True), said)


@subcommand(
    "delete-counter",
    "Delete a counter with its events, rollup and series.",
    *COUNTER,
    *CONFIRM,
    about="A deleted counter cannot be restored.",
    examples="""\
  manage.py counters delete-counter demo page/home
      asks for confirmation on a terminal
  manage.py counters delete-counter demo page/home --confirm page/home
  manage.py counters delete-counter demo page/home --yes --json
""",
)
def delete(out: Output, options: Any) -> None:
    namespace, name = options.namespace, options.name
    given = confirm(out, options, name=name, what=f"the counter {namespace}/{name}")
    deleted = deletion.delete_counter(namespace=namespace, name=name, confirm=given)
    out.answer(
        {"counters": deleted.counters, "events": deleted.events},
        f"Deleted {namespace}/{name} with {counted(deleted.events, 'event')}.",
    )


def _readings(options: Any, *, most: int) -> Iterator[counts.Reading]:
    place = None
    while most > 0:
        page = counts.list_counters(
            namespace=options.namespace,
            ordering=options.ordering,
            search=options.search,
            place=place,
            limit=min(most, listing.MOST),
        )
        yield from page.readings
        most -= len(page.readings)
        place = page.next
        if place is None:
            return
