"""The Celery application; its settings are the CELERY_* names of settings.py."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init

from counters_project.gc_freeze import freeze_loaded_objects

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "counters_project.settings")

app = Celery("counters")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_process_init.connect
def freeze_in_worker_process(**_: Any) -> None:
    freeze_loaded_objects()
