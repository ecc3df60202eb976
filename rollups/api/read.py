"""`POST namespaces/{ns}/read`: the counts of up to 1,000 counters at once."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from counters import names
from counters.api.parsers import read_object
from counters.api.views import CountersView
from counters.errors import InvalidValue, MissingValue
from rollups import reading
from rollups.api import described
from rollups.api.bodies import MOST_NAMES, NAMES_WANTED
from rollups.api.shapes import found_body
from rollups.reading_many import CounterName, get_many


class ReadView(CountersView):
    """Read many counters of a namespace in one snapshot, in the order of the names."""

    # The longest names, each character written as two JSON escapes.
    most_body_bytes = 4 * 1024 * 1024

    @described.read_many
    def post(self, request: Request, namespace: str) -> Response:
        found = self.check_right(request, namespace, "read")
        fields = read_object(request.data, allowed=frozenset({"names", "accuracy"}))
        accuracy = reading.choose_accuracy(found, fields.get("accuracy"))
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
