"""The plain view's WSGI application."""

from __future__ import annotations

import os

# Before Django looks: the environment names the settings of this project.
os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.plain.settings"

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
