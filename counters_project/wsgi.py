"""The WSGI entry point that the application server loads."""

from __future__ import annotations

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")

# Whatever server loads this serves the web, and is held to what that needs.
if not settings.configured and not os.environ.get("COUNTERS_ROLE"):
    os.environ["COUNTERS_ROLE"] = "web"

application = get_wsgi_application()

if settings.ROLE == "web":
    # Not imported above: it needs the apps' models, which are loaded by now.
    import_module("rollups.presence").start("web")
