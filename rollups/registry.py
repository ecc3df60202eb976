"""Find the counter fields of all models; create their namespaces and delete their counters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps as all_apps
from django.db import transaction
from django.db.models import Model
from django.db.models.signals import post_delete

from counters.errors import CounterNotFound
from counters.namespaces import deletion
from rollups.fields import AttachedCounter, CounterField


def fields_of(model: type[Model]) -> list[CounterField]:
    """Return the model's counter fields, including inherited fields."""
    names = {name: None for base in model.__mro__ for name in vars(base)}
    found = [getattr(model, name) for name in names if _is_field(model, name)]
    return [field for field in found if isinstance(field, CounterField)]


def declared() -> Iterator[tuple[type[Model], CounterField]]:
    """Yield every counter field of every installed model."""
    for model in all_apps.get_models():
        for field in fields_of(model):
            yield model, field


def create_namespaces(*, using: str, apps: Any) -> list[str]:
    """Create the declared namespaces that are missing; return their names.

    `apps` is the registry of the migrations that ran, which may not yet include ours.
    """
    try:
        namespace = apps.get_model("counters", "Namespace")
    except LookupError:
        return []
    wanted = {field.namespace: field.counter_type for _, field in declared()}
    created = []
    for name, counter_type in sorted(wanted.items()):
        _, is_new = namespace._default_manager.using(using).get_or_create(
            name=name, defaults={"counter_type": counter_type}
        )
        if is_new:
            created.append(name)
    return created


def connect_deletions() -> None:
    """Connect the deletion of counters to the deletion of objects, for on_delete="delete"."""
    for model in {model for model, field in declared() if field.on_delete == "delete"}:
        post_delete.connect(
            delete_counters_of,
            sender=model,
            dispatch_uid=f"rollups {model._meta.label}",
        )


def delete_counters_of(*, instance: Model, using: str, **_: Any) -> None:
    """Delete an object's counters once its deletion has committed."""
    for field in fields_of(type(instance)):
        if field.on_delete == "delete":
            counter: AttachedCounter = getattr(instance, field.attribute)
            _delete_after_commit(counter, using)


def _delete_after_commit(counter: AttachedCounter, using: str) -> None:
    def delete() -> None:
        try:
            deletion.delete_counter(
                namespace=counter.namespace, name=counter.name, confirm=counter.name
            )
        except CounterNotFound:
            return  # nothing was ever added

    # Robust: the object is already deleted, so an error here must not fail the request.
    transaction.on_commit(delete, using=using, robust=True)


def _is_field(model: type[Model], name: str) -> bool:
    return any(isinstance(vars(base).get(name), CounterField) for base in model.__mro__)
