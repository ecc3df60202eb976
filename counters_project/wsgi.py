"""The WSGI entry point that the application server loads."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from counters_project.gc_freeze import freeze_loaded_objects

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")

# A server that loads this module is a web server and gets its checks.
if not settings.configured and not os.environ.get("COUNTERS_ROLE"):
    os.environ["COUNTERS_ROLE"] = "web"

application = get_wsgi_application()

if settings.ROLE == "web":
    # Load the views now: the first request would load them after the freeze.
    get_resolver().url_patterns  # noqa: B018
    freeze_loaded_objects()
