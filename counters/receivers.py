"""What the write side does when Django announces something; loaded when the app starts."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connections, router
from django.db.models.signals import post_delete, post_migrate, post_save
from django.dispatch import receiver

from counters import access, namespaces, partitions
from counters.models import Grant, Namespace


@receiver([post_save, post_delete], sender=Namespace)
@receiver([post_save, post_delete], sender=Grant)
def forget_what_changed(**_: Any) -> None:
    """In this process at once; in the others within a few seconds."""
    namespaces.forget_all()
    access.forget_all()


@receiver(post_migrate, sender=apps.get_app_config("counters"))
def make_partitions(*, using: str, apps: Any = apps, **_: Any) -> None:
    """Leave no freshly migrated database without partitions for its first events."""
    if is_migrated(using, apps):
        partitions.make_ahead(using=using)


def is_migrated(using: str, apps: Any) -> bool:
    """Whether our tables are in that database: not so after `migrate auth` on a new one,
    after `migrate counters zero`, or in a project's second database.
    """
    return (
        connections[using].vendor == "postgresql"
        and router.allow_migrate(using, "counters")
        and "event" in apps.all_models["counters"]
    )
