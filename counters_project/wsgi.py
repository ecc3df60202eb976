"""The WSGI entry point that the application server loads."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")

application = get_wsgi_application()
