"""The settings of a project whose workers accept only pickled messages, and acknowledge."""

from __future__ import annotations

from counters_project.settings import *  # noqa: F403
from counters_project.settings import CELERY_BROKER_TRANSPORT_OPTIONS

CELERY_ACCEPT_CONTENT = ["pickle"]
# Kombu's default.
CELERY_BROKER_TRANSPORT_OPTIONS |= {"ack_emulation": True}
