"""Create and change namespaces."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from counters.db.transactions import own_transaction
from counters.durations import LONGEST
from counters.errors import AlreadyExists, InvalidValue, MissingValue
from counters.models import BucketSize, CounterType, Grant, Namespace
from counters.namespaces import lookup

# Name of the setting -> the model's field.
DURATIONS = {
    "accept_past_seconds": "accept_past",
    "accept_future_seconds": "accept_future",
    "retention_seconds": "retention",
}
CHOICES: dict[str, list[str]] = {
    "counter_type": CounterType.values,
    "bucket_size": BucketSize.values,
}
TEXTS = ("name", "description")
FIELDS = frozenset({*TEXTS, *CHOICES, *DURATIONS})
NAME_WANTED = (
    "a namespace name: 1 to 64 letters, digits, dots, dashes and underscores, of which the"
    " first is a letter or a digit"
)
MOST_SECONDS = round(LONGEST.total_seconds())


def create(settings: Mapping[str, Any], *, manager: Any = None) -> Namespace:
    """Create a namespace; the user `manager` gets all rights in it.

    Raises MissingValue, InvalidValue, AlreadyExists.
    """
    if settings.get("name") is None:
        raise MissingValue("name", NAME_WANTED)
    namespace = Namespace()
    with transaction.atomic():
        _apply(namespace, settings)
        if manager is not None:
            Grant.objects.create(
                namespace=namespace,
                user=manager,
                can_read=True,
                can_write=True,
                can_manage=True,
            )
    return namespace


def change(name: str, settings: Mapping[str, Any]) -> Namespace:
    """Change some settings of a namespace; its name stays.

    Raises InvalidValue, NamespaceNotFound.
    """
    if settings.get("name", name) != name:
        raise InvalidValue(
            "name", settings["name"], f"{name!r}: a name cannot be changed"
        )
    with own_transaction():
        namespace = lookup.get_now(name, for_update=True)
        _apply(namespace, settings)
    return namespace


def _apply(namespace: Namespace, settings: Mapping[str, Any]) -> None:
    was_best_effort = namespace.counter_type == CounterType.BEST_EFFORT
    for field, value in settings.items():
        setattr(namespace, DURATIONS.get(field, field), _checked(field, value))
    is_best_effort = namespace.counter_type == CounterType.BEST_EFFORT
    if namespace.pk and was_best_effort != is_best_effort:
        raise InvalidValue(
            "counter_type",
            namespace.counter_type,
            "a type that this namespace can change to: best-effort counts are only in the cache. Create"
            " another namespace",
        )
    # full_clean checks it too, but its message is for forms and says less.
    namespace.check_change()
    try:
        namespace.full_clean()
        with transaction.atomic():
            namespace.save()
    except ValidationError as error:
        raise _named(namespace, error) from error
    except IntegrityError as error:
        raise AlreadyExists("name", namespace.name) from error


def _checked(field: str, value: object) -> Any:
    if field in DURATIONS:
        wanted = f"a whole number of seconds from 0 to {MOST_SECONDS}"
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidValue(field, value, wanted)
        if not 0 <= value <= MOST_SECONDS:
            raise InvalidValue(field, value, wanted)
        return timedelta(seconds=value)
    if field in CHOICES and value not in CHOICES[field]:
        raise InvalidValue(field, value, f"one of {', '.join(CHOICES[field])}")
    if not isinstance(value, str) or not (
        value.isprintable() or field == "description"
    ):
        raise InvalidValue(field, value, NAME_WANTED if field == "name" else "text")
    if "\0" in value or not _is_utf8(value):
        raise InvalidValue(field, value, "text that PostgreSQL can keep")
    return value


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(namespace: Namespace, error: ValidationError) -> Exception:
    """Convert Django's error, for the first field that it names."""
    field, problems = next(iter(error.message_dict.items()))
    if field == "name":
        # Not by its text, which is in the project's language.
        if any(problem.code == "unique" for problem in error.error_dict["name"]):
            return AlreadyExists("name", namespace.name)
        return InvalidValue("name", namespace.name, NAME_WANTED)
    if field == "__all__" and namespace.accept_past <= timedelta(0):
        return InvalidValue(
            "accept_past_seconds",
            round(namespace.accept_past.total_seconds()),
            "above 0: an event needs some time to arrive",
        )
    if field == "__all__":
        seconds = round(namespace.retention.total_seconds())
        return InvalidValue(
            "retention_seconds",
            seconds,
            "at least accept_past_seconds, which is"
            f" {round(namespace.accept_past.total_seconds())}: an event must be kept while"
            " its token may be repeated",
        )
    return InvalidValue(field, getattr(namespace, field), " ".join(problems))
