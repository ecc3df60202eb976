"""Signal receivers of the write side. Loaded when the app starts."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models.signals import post_delete, post_migrate, post_save
from django.dispatch import receiver
from django.test.utils import override_settings

from counters import routers
from counters.models import Grant, Namespace
from counters.namespaces import access, lookup
from counters.partitions import create


@receiver([post_save, post_delete], sender=Namespace)
@receiver([post_save, post_delete], sender=Grant)
def forget_what_changed(**_: Any) -> None:
    """Discard cached namespaces and grants. Other processes discard theirs within two seconds."""
    lookup.forget_all()
    access.forget_all()


@receiver(post_migrate, sender=apps.get_app_config("counters"))
def make_partitions(*, using: str, apps: Any = apps, **_: Any) -> None:
    """Create the partitions for the first events of a new database."""
    if is_migrated(using, apps):
        make_tables_by_migrations(using)
        create.make_ahead(using=using)


def make_tables_by_migrations(using: str) -> None:
    """Replace tables that Django made from the models by those that the migrations make.

    `pytest --nomigrations` and `TEST = {"MIGRATE": False}` skip all migrations, and with
    them partitions, functions and views, which no model describes. The tables must be new:
    this raises if they have rows.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relkind FROM pg_class WHERE oid = 'counters_event'::regclass"
        )
        if cursor.fetchone() == ("p",):
            return
    models = [
        model
        for label in routers.APPS
        if apps.is_installed(label)
        for model in apps.get_app_config(label).get_models()
        if model._meta.managed and not model._meta.proxy
    ]
    if any(model._base_manager.using(using).exists() for model in models):
        raise ImproperlyConfigured(
            "The tables of 'counters' were made without its migrations and contain rows."
            " Remove 'counters' and 'rollups' from MIGRATION_MODULES, and start with an empty"
            " database."
        )
    with connection.schema_editor() as editor:
        for model in models:
            # By CASCADE, so the foreign keys between them do not forbid any order.
            editor.delete_model(model)
    others = {
        app.label: None
        for app in apps.get_app_configs()
        if app.label not in routers.APPS
    }
    with override_settings(MIGRATION_MODULES=others):
        loader = MigrationLoader(None, load=False)
        loader.load_disk()
    state = ProjectState(real_apps=loader.unmigrated_apps)
    # In the order of app and number; those of rollups depend only on those of counters.
    for _, migration in sorted(loader.disk_migrations.items()):
        with connection.schema_editor(atomic=migration.atomic) as editor:
            state = migration.apply(state, editor)


def is_migrated(using: str, apps: Any) -> bool:
    """Return whether our tables are in that database: not after `migrate auth` on a new one,
    after `migrate counters zero`, or in a project's second database.
    """
    return (
        connections[using].vendor == "postgresql"
        and router.allow_migrate(using, "counters")
        and "event" in apps.all_models["counters"]
    )
