"""`POST events`: a batch, all or nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from counters import conf
from counters.db import clock
from counters.errors import (
    BatchRefused,
    BatchTooLarge,
    CountersError,
    InvalidValue,
    MissingValue,
)
from counters.json_values import read_delta, read_time
from counters.recording import batch
from counters.recording.validation import CheckedEvent, check_event
from counters.rest import descriptions
from counters.rest.base import CountersView, refuse_token_in_header
from counters.rest.parsers import read_object
from counters.rest.responses import recorded_body

BATCH_FIELDS = frozenset({"events"})
EVENT_FIELDS = frozenset({"namespace", "name", "delta", "token", "generation_time"})
WANTED = "a list of events, each an object with namespace, name and delta"


class EventsView(CountersView):
    """Add up to 10,000 events in one transaction; an answer for each, in order."""

    most_body_bytes = conf.body_bytes()

    @descriptions.add_batch
    def post(self, request: Request) -> Response:
        refuse_token_in_header(request)
        events = _events(request.data)
        now = clock.now()
        checked: list[CheckedEvent] = []
        # Asked once for each namespace of the batch, not for each event.
        may_write: set[str] = set()
        for index, event in enumerate(events):
            try:
                checked.append(self._check(request, event, now, may_write))
            except CountersError as error:
                raise BatchRefused(index, error) from error
        recorded = batch.add_all(checked)
        return Response({"results": [recorded_body(one) for one in recorded]})

    def _check(
        self, request: Request, event: object, now: datetime, may_write: set[str]
    ) -> CheckedEvent:
        fields = read_object(event, allowed=EVENT_FIELDS)
        namespace = fields.get("namespace")
        if namespace is None:
            raise MissingValue("namespace", "the name of a namespace")
        if not isinstance(namespace, str) or namespace not in may_write:
            may_write.add(self.check_right(request, namespace, "write").name)
        return check_event(
            namespace=namespace,
            name=fields.get("name"),
            delta=read_delta(fields.get("delta")),
            token=fields.get("token"),
            generation_time=read_time("generation_time", fields.get("generation_time")),
            now=now,
        )


def _events(body: object) -> list[Any]:
    fields = read_object(body, allowed=BATCH_FIELDS)
    if "events" not in fields:
        raise MissingValue("events", WANTED)
    events = fields["events"]
    if not isinstance(events, list):
        raise InvalidValue("events", events, WANTED)
    if len(events) > batch.BATCH_EVENTS:
        raise BatchTooLarge(len(events), batch.BATCH_EVENTS)
    return events
