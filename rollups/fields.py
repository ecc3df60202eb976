"""Attach counters to models, without a column in their tables.

class Article(models.Model):
    views = CounterField(namespace="articles")

article.views.add()      # in the caller's transaction
article.views.count      # eventual
with_counts(page_of_articles, "views")  # all counts of a page in one query
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Literal, Self, TypeVar, overload
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db import Error as DatabaseFault
from django.db.models import (
    CompositePrimaryKey,
    DecimalField,
    Field,
    GenericIPAddressField,
    Model,
)
from django.utils import timezone
from django.utils.formats import localize

from counters import events
from counters.errors import CountersError, InvalidValue
from counters.models import CounterType
from counters.recording import names
from counters.recording.duplicates import Recorded
from counters.recording.tokens import GivenToken
from rollups.counts import Reading
from rollups.reading.many import CounterName, get_many, get_or_zero

OnDelete = Literal["keep", "delete"]
M = TypeVar("M", bound=Model)
T = TypeVar("T")

logger = logging.getLogger(__name__)

# Where an object keeps what `with_counts` has read for it.
_LOADED = "_loaded_counts"
# What a page shows for a count that cannot be read.
UNKNOWN = "–"  # noqa: RUF001


class NotSaved(CountersError):
    """The object is not saved, so it has no counters."""

    code = "not-saved"
    # Templates show nothing, as for a missing attribute.
    silent_variable_failure = True

    def __init__(self, instance: Model, attribute: str) -> None:
        super().__init__(
            f"This {type(instance).__name__} is not in the database, so it has no counter"
            f" {attribute!r}: save it first. For an object known by its key only, use"
            f" {type(instance).__name__}.{attribute}.of(key)."
        )


@dataclass(frozen=True, slots=True)
class AttachedCounter:
    """The counter of one object."""

    namespace: str
    # Such as "blog.article:42:views": model, primary key, attribute.
    name: str
    attribute: str
    instance: Model | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        """Return the count as a template shows a number: `{{ article.views }}`.

        If it cannot be read: a dash, and a line in the log.
        """
        count = self.count_for_page()
        return UNKNOWN if count is None else str(localize(count))

    def add(
        self,
        delta: int = 1,
        *,
        token: GivenToken | None = None,
        generation_time: datetime | None = None,
    ) -> Recorded:
        """Add an event in the caller's transaction, or commit it at once; see `events.add`."""
        self._loaded.pop(self.attribute, None)
        return events.add(
            namespace=self.namespace,
            name=self.name,
            delta=delta,
            token=token,
            generation_time=generation_time,
        )

    @property
    def count(self) -> int:
        """Return the count that `with_counts` has read, or read it now."""
        return (self._loaded.get(self.attribute) or self.read()).count

    def count_for_page(self, *, accuracy: str | None = None) -> int | None:
        """Return the count, or None if it cannot be read: a page must not fail for a count."""
        if accuracy is None and self.attribute in self._loaded:
            loaded = self._loaded[self.attribute]
            return None if loaded is None else loaded.count
        return if_told(lambda: self.read(accuracy=accuracy).count)

    @property
    def _loaded(self) -> dict[str, Reading | None]:
        """Return the object's loaded readings; None for a count that could not be read."""
        if self.instance is None:
            return {}
        loaded: dict[str, Reading | None] = self.instance.__dict__.get(_LOADED, {})
        return loaded

    def read(self, *, accuracy: str | None = None) -> Reading:
        """Read the counter now, as `counts.get` does. Without events the count is 0."""
        return get_or_zero(namespace=self.namespace, name=self.name, accuracy=accuracy)


class CounterField:
    """Attach a counter to each object of a model. A descriptor, not a column.

    `migrate` creates the namespace, with this counter type, if it is missing. Counters' names
    begin with `label`, by default the model's label ("blog.article"). If you rename a model,
    give its old label. With `on_delete="delete"`, the deletion of an object also deletes its
    counter with all events, after the commit. With "keep" the counter stays.
    """

    def __init__(
        self,
        *,
        namespace: str,
        counter_type: str = CounterType.EVENTUAL,
        label: str | None = None,
        on_delete: OnDelete = "keep",
    ) -> None:
        self.namespace = namespace
        self.counter_type = str(counter_type)
        self.label = label
        self.on_delete: OnDelete = on_delete
        self.attribute = ""
        self.owner: type[Any] = Model
        self.declared_in: type[Any] = Model

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self.owner = self.declared_in = owner
        self.attribute = name

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: Model, owner: type[Any]) -> AttachedCounter: ...
    def __get__(
        self, instance: Model | None, owner: type[Any]
    ) -> Self | AttachedCounter:
        if instance is None:
            return self if owner is self.owner else self._seen_from(owner)
        if instance._state.adding:
            raise NotSaved(instance, self.attribute)
        key = getattr(instance, _named_for(self.declared_in, owner)._meta.pk.attname)
        # Django removes the key of an object that it deletes.
        if key is None:
            raise NotSaved(instance, self.attribute)
        return self._attached(owner, key, instance)

    def __set__(self, instance: Model, value: object) -> None:
        raise AttributeError(
            f"{self.attribute!r} is a counter: it is not set, use .add()."
        )

    def of(self, key: object) -> AttachedCounter:
        """Return the counter of the object with this primary key, without reading it.

        The primary key's field converts the key: "042" is 42. Raises InvalidValue for a value
        that cannot be a key of this model.
        """
        return self._attached(self.owner, key)

    def _attached(
        self, model: type[Any], key: object, instance: Model | None = None
    ) -> AttachedCounter:
        named_for = _named_for(self.declared_in, model)
        label = self.label or named_for._meta.label_lower
        name = f"{label}:{_key_of(named_for, key)}:{self.attribute}"
        return AttachedCounter(
            self.namespace, names.normalized(name), self.attribute, instance
        )

    def _seen_from(self, owner: type[Any]) -> Self:
        seen = copy(self)
        seen.owner = owner
        return seen


def _named_for(declared_in: type[Any], model: type[Any]) -> Any:
    """Return the model whose label begins the counters' names.

    A proxy or a multi-table child uses the topmost concrete parent that has the field. Each
    child of an abstract model has its own counters.
    """
    concrete = [
        each
        for each in model.__mro__
        if issubclass(each, declared_in)
        and issubclass(each, Model)
        and hasattr(each, "_meta")
        and not each._meta.abstract
    ]
    if not concrete:
        raise TypeError(
            f"{model.__name__} is abstract: it has no objects, so no counters."
        )
    return concrete[-1]._meta.concrete_model


def _key_of(model: type[Any], key: object) -> object:
    """Convert a primary key to the database's form; raise InvalidValue if that fails."""
    field = model._meta.pk
    if isinstance(key, model):
        key = getattr(key, field.attname)
    try:
        if isinstance(field, CompositePrimaryKey):
            return _parts_of(model, key)
        return _converted(field, key)
    except (ValidationError, TypeError, ValueError, ArithmeticError) as error:
        raise InvalidValue(
            "key",
            key,
            f"a primary key of {model._meta.label} ({type(field).__name__})",
        ) from error


def _parts_of(model: type[Any], key: object) -> tuple[object, ...]:
    if not isinstance(key, tuple):
        raise TypeError(key)
    fields = model._meta.pk_fields
    return tuple(_converted(*pair) for pair in zip(fields, key, strict=True))


def _converted(field: Field[Any, Any], key: object) -> object:
    """Convert a key as the field does; raise if the field would change it to another key."""
    if key is None or isinstance(key, bool | Model):
        raise TypeError(key)
    converted = field.to_python(key)
    # A text field would accept any object's text; an integer field would make 42 of 42.5.
    if isinstance(converted, str) and not isinstance(key, str | int | UUID):
        raise TypeError(key)
    if isinstance(key, float | Decimal) and converted != key:
        raise ValueError(key)
    # The plain text, because a subclass such as an Enum may format itself differently.
    if isinstance(converted, str):
        if isinstance(field, GenericIPAddressField):
            field.run_validators(converted)
        return str.__str__(converted)
    return _as_read_back(field, converted)


def _as_read_back(field: Field[Any, Any], key: object) -> object:
    """Return a key in the form in which the database returns it.

    A new object has its key in the caller's form: 12 for 12.00, or an instant in another time
    zone. The counter's name must be the same before and after the object is read back.
    """
    if isinstance(key, Decimal) and isinstance(field, DecimalField):
        # Raises if digits would be lost, or if the column cannot hold them.
        exact = Context(prec=field.max_digits, traps=[Inexact, InvalidOperation])
        fixed = key.quantize(Decimal(1).scaleb(-field.decimal_places), context=exact)
        return abs(fixed) if fixed == 0 else fixed
    if isinstance(key, datetime):
        if timezone.is_naive(key):
            key = timezone.make_aware(key, timezone.get_default_timezone())
        return key.astimezone(UTC)
    # Adding 0.0 makes 0.0 of -0.0.
    return key + 0.0 if isinstance(key, float) else key


def if_told(read: Callable[[], T]) -> T | None:
    """Read a value for a page; log an error and return None if it cannot be read."""
    try:
        if connections[DEFAULT_DB_ALIAS].in_atomic_block:
            # A failed statement would break the block for the rest of the page.
            with transaction.atomic():
                return read()
        return read()
    except (CountersError, DatabaseFault) as error:
        logger.warning("A page shows a dash in place of a count: %s", error)
        return None


def with_counts(objects: Iterable[M], *attributes: str) -> list[M]:
    """Read the counts of all these objects in one query; return the objects.

    Afterwards `article.views.count` needs no query until the next `article.views.add()`. A
    queryset is evaluated and keeps its objects. The counts are eventual, also in namespaces
    with accurate reads.
    """
    found = list(objects)
    counters: list[tuple[M, AttachedCounter]] = [
        (one, _counter_of(one, attribute)) for one in found for attribute in attributes
    ]
    readings = get_many([CounterName(of.namespace, of.name) for _, of in counters])
    for (one, counter), read in zip(counters, readings, strict=True):
        one.__dict__.setdefault(_LOADED, {})[counter.attribute] = read
    return found


def _counter_of(instance: object, attribute: str) -> AttachedCounter:
    counter = getattr(instance, attribute, None)
    if not isinstance(counter, AttachedCounter):
        raise InvalidValue(
            "attribute", attribute, f"a CounterField of {type(instance).__name__}"
        )
    return counter


def with_counts_for_page(objects: Iterable[M], *attributes: str) -> None:
    """Read counts as `with_counts` does; if they cannot be read, the page shows dashes."""
    found = list(objects)
    if if_told(lambda: with_counts(found, *attributes)) is None:
        for one in found:
            one.__dict__.setdefault(_LOADED, {}).update(dict.fromkeys(attributes))
