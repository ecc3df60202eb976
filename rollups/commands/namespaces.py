"""Subcommands that create, change, list and delete namespaces."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from counters.durations import format_duration, parse_duration
from counters.errors import counted
from counters.models import BucketSize, Counter, CounterType, Namespace
from counters.namespaces import access, deletion, lookup, settings
from counters.namespaces.settings import FIELDS
from counters.rest.schemas import namespace_body
from rollups.commands.base import (
    CONFIRM,
    Output,
    Refused,
    arg,
    confirm,
    counting_bar,
    subcommand,
)


def duration(text: str) -> int:
    """Return the seconds of an argument such as `90s` or `24h`."""
    try:
        return round(parse_duration(text).total_seconds())
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


_NAME = arg("name", help="the namespace's name")
_SETTINGS = (
    _NAME,
    arg("--description", metavar="TEXT", help="a text for people"),
    arg(
        "--counter-type",
        choices=CounterType.values,
        help="the default accuracy of reads; best-effort counters are in the cache only, and may be"
        " lost",
    ),
    arg(
        "--bucket-size",
        choices=BucketSize.values,
        help="the smallest bucket of series",
    ),
    *(
        arg(
            option,
            dest=f"{option[2:].replace('-', '_')}_seconds",
            type=duration,
            metavar="DURATION",
            help=meaning,
        )
        for option, meaning in {
            "--accept-past": "how old an event, or a retry of it, may be (24h)",
            "--accept-future": "how far ahead a client's clock may be (5m)",
            "--retention": "how long single events are kept (30d)",
        }.items()
    ),
)


@subcommand(
    "create-namespace",
    "Create a namespace: a group of counters with its own settings and rights.",
    *_SETTINGS,
    arg("--manager", metavar="USER", help="grant this user all rights in it"),
    examples="""\
  manage.py counters create-namespace shop
  manage.py counters create-namespace stock --counter-type accurate --accept-past 7d
      reads include pending events; a token protects a retry for seven days
  manage.py counters create-namespace visits --bucket-size hour --manager alice
""",
)
def create(out: Output, options: Any) -> None:
    manager = access.user_named(options.manager) if options.manager else None
    created = settings.create(_given_settings(options), manager=manager)
    out.answer(namespace_body(created), f"Created namespace {created.name}.")


@subcommand(
    "change-namespace",
    "Change the settings of a namespace.",
    *_SETTINGS,
    about="""\
Changes only the given settings. Running processes use the new values within seconds.""",
    examples="""\
  manage.py counters change-namespace shop --accept-past 7d
  manage.py counters change-namespace shop --counter-type accurate --description "The shop"
""",
)
def change(out: Output, options: Any) -> None:
    name = lookup.get(options.name).name
    changes = _given_settings(options)
    # The name is an argument, not a change.
    if changes.keys() <= {"name"}:
        raise Refused(
            "There is nothing to change. Give a setting, such as --retention 90d.",
            returncode=2,
        )
    changed = settings.change(name, changes)
    out.answer(namespace_body(changed), f"Changed namespace {changed.name}.")


@subcommand(
    "list-namespaces",
    "List the namespaces and their settings.",
    examples="""\
  manage.py counters list-namespaces
  manage.py counters list-namespaces --json | jq -r '.[].name'
""",
)
def list_namespaces(out: Output, _options: Any) -> None:
    found = list(Namespace.objects.order_by("name"))
    out.answer_list(
        [namespace_body(one) for one in found],
        ("namespace", "type", "accepts", "ahead", "keeps", "buckets"),
        [
            (
                one.name,
                one.counter_type,
                format_duration(one.accept_past),
                format_duration(one.accept_future),
                format_duration(one.retention),
                one.bucket_size,
            )
            for one in found
        ],
    )


@subcommand(
    "delete-namespace",
    "Delete a namespace with all its counters and events.",
    _NAME,
    *CONFIRM,
    about="""\
A deleted namespace cannot be restored. The counters are deleted in batches: after an interruption
the namespace is still there, with fewer counters. Run the command again then.""",
    examples="""\
  manage.py counters delete-namespace shop
      asks for confirmation on a terminal
  manage.py counters delete-namespace shop --confirm shop
""",
)
def delete(out: Output, options: Any) -> None:
    namespace = lookup.get(options.name)
    name = namespace.name
    number = Counter.objects.filter(namespace=namespace).count()
    what = f"the namespace {name} with {counted(number, 'counter')}"
    given = confirm(out, options, name=name, what=what)
    with counting_bar("Deleting") as progress:
        bar = progress.add_task("delete", total=number)
        deleted = deletion.delete_namespace(
            name,
            confirm=given,
            progress=lambda so_far: progress.update(bar, completed=so_far.counters),
        )
    out.answer(
        {"counters": deleted.counters, "events": deleted.events},
        f"Deleted {name} with {counted(deleted.counters, 'counter')} and"
        f" {counted(deleted.events, 'event')}.",
    )


def _given_settings(options: Any) -> dict[str, Any]:
    return {
        field: value
        for field in FIELDS
        if (value := getattr(options, field, None)) is not None
    }
