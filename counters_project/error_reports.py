"""Keep secrets and noise out of error reports and logs."""

from __future__ import annotations

import logging
import re
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class ReportFilter(SafeExceptionReporterFilter):
    """Hide settings, headers and variables whose name suggests a secret.

    The names are Django's own list plus URLs, which may contain passwords.
    """

    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}|URL|LOCATION|COOKIE",
        re.IGNORECASE,
    )

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> Any:
        variables = super().get_traceback_frame_variables(request, tb_frame)
        return [(name, self.cleanse_setting(name, value)) for name, value in variables]


class WithoutTraceback(logging.Filter):
    """Log client errors in one line, without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True
