"""What the write side does when Django announces something; loaded when the app starts."""

from __future__ import annotations

from typing import Any

from django.apps import apps
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
def make_partitions(*, using: str, **_: Any) -> None:
    """Leave no freshly migrated database without partitions for its first events."""
    partitions.make_ahead(using=using)
