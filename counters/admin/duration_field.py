"""Form field for durations such as `30 days`, `24 h`, `5 min` and `90 s`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from counters.durations import DurationTooLong, format_duration, parse_duration


class SpanWidget(forms.TextInput):
    """Show a duration in the form in which the field accepts it."""

    def format_value(self, value: Any) -> str | None:
        if isinstance(value, timedelta):
            return format_duration(value)
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
        if isinstance(value, str):
            try:
                return parse_duration(value)
            except DurationTooLong as error:
                raise forms.ValidationError(str(error)) from error
            except ValueError:
                pass
        return super().to_python(value)
