"""Form field for durations such as `30 days`, `24 h`, `5 min` and `90 s`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django import forms

from counters.errors import span

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_SPAN = re.compile(
    r"(\d{1,9})\s*(days?|d|hours?|h|minutes?|min|m|seconds?|s)", re.IGNORECASE
)


class SpanWidget(forms.TextInput):
    """Show a duration in the form in which the field accepts it."""

    def format_value(self, value: Any) -> str | None:
        if isinstance(value, timedelta):
            return span(value)
        text: str | None = super().format_value(value)
        return text


class SpanField(forms.DurationField):
    """Accept `30 days`, and Django's own form (`30 00:00:00`)."""

    widget = SpanWidget
    default_error_messages = {
        "invalid": "Write it as 30 days, 24 h, 5 min or 90 s.",
    }

    def prepare_value(self, value: Any) -> Any:
        return value

    def to_python(self, value: Any) -> timedelta | None:
        match = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            return super().to_python(value)
        try:
            return int(match[1]) * _UNITS[match[2][0].lower()]
        except OverflowError as error:
            raise forms.ValidationError(
                self.error_messages["invalid"], code="invalid"
            ) from error
