"""The WSGI entry point that the application server loads."""

from __future__ import annotations

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from counters_project.garbage import keep_what_is_loaded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")

# Whatever server loads this serves the web, and is held to what that needs.
if not settings.configured and not os.environ.get("COUNTERS_ROLE"):
    os.environ["COUNTERS_ROLE"] = "web"

# Not imported above: what it imports needs the settings, and the apps, which are loaded by now.
application = get_wsgi_application()
application = import_module("counters_project.charsets").TextCharset(application)

if settings.ROLE == "web":
    # Views are loaded by the first request as a rule: too late for what is kept here.
    get_resolver().url_patterns  # noqa: B018
    keep_what_is_loaded()
