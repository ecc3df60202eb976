"""`POST namespaces/{ns}/read`: the counts of up to 1,000 counters at once."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from counters.errors import InvalidValue, MissingValue
from counters.recording import names
from counters.rest.base import CountersView
from counters.rest.parsers import read_object
from rollups.reading.many import CounterName, get_many
from rollups.reading.read import choose_accuracy
from rollups.rest import descriptions
from rollups.rest.responses import found_body
from rollups.rest.schemas import MOST_NAMES, NAMES_WANTED


class ReadView(CountersView):
    """Read many counters of a namespace in one snapshot, in the order of the names."""

    # The longest names, each character written as two JSON escapes.
    most_body_bytes = 4 * 1024 * 1024

    @descriptions.read_many
    def post(self, request: Request, namespace: str) -> Response:
        found = self.check_right(request, namespace, "read")
        fields = read_object(request.data, allowed=frozenset({"names", "accuracy"}))
        accuracy = choose_accuracy(found, fields.get("accuracy"))
        readings = get_many(
            [CounterName(found.name, name) for name in _names(fields.get("names"))],
            accuracy="accurate" if accuracy == "accurate" else "eventual",
        )
        return Response({"results": [found_body(one) for one in readings]})


def _names(value: object) -> list[str]:
    if value is None:
        raise MissingValue("names", NAMES_WANTED)
    if not isinstance(value, list):
        raise InvalidValue("names", value, NAMES_WANTED)
    if len(value) > MOST_NAMES:
        raise InvalidValue("names", f"{len(value):,} names", NAMES_WANTED)
    return [names.check(name, field=f"names[{i}]") for i, name in enumerate(value)]
