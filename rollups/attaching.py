"""Counters attached to a model: one line in the model, and no column in its table.

class Article(models.Model):
    views = CounterField(namespace="articles")

article.views.add()      # in the caller's transaction
article.views.count      # eventual
with_counts(page_of_articles, "views")  # all counts of a page in one query
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Literal, Self, TypeVar, overload

from django.db.models import Model

from counters import namespaces, recording
from counters.errors import CounterNotFound, CountersError
from counters.models import CounterType
from counters.repeats import Recorded
from rollups import reading
from rollups.reading import Reading
from rollups.reading_many import CounterName, get_many

OnDelete = Literal["keep", "delete"]
M = TypeVar("M", bound=Model)

# Where an object keeps what `with_counts` has read for it.
_LOADED = "_loaded_counts"


class NotSaved(CountersError):
    """An object that is not in the database yet has no counters."""

    code = "not-saved"
    # Templates show nothing, as for a missing attribute.
    silent_variable_failure = True

    def __init__(self, instance: Model, attribute: str) -> None:
        super().__init__(
            f"This {type(instance).__name__} is not saved yet, so it has no counter"
            f" {attribute!r}: save it first. For an object known by its key only, use"
            f" {type(instance).__name__}.{attribute}.of(key)."
        )


@dataclass(frozen=True, slots=True)
class AttachedCounter:
    """An object's counter."""

    namespace: str
    # Such as "blog.article:42:views": model, primary key, attribute.
    name: str
    attribute: str
    instance: Model | None = field(default=None, repr=False, compare=False)

    def add(
        self,
        delta: int = 1,
        *,
        token: str | None = None,
        generation_time: datetime | None = None,
    ) -> Recorded:
        """Add to it, as `recording.add`: with the caller's transaction, or at once."""
        if self.instance is not None:
            self.instance.__dict__.get(_LOADED, {}).pop(self.attribute, None)
        return recording.add(
            namespace=self.namespace,
            name=self.name,
            delta=delta,
            token=token,
            generation_time=generation_time,
        )

    @property
    def count(self) -> int:
        """The count that `with_counts` has read, or else one look-up's."""
        loaded: Reading | None = None
        if self.instance is not None:
            loaded = self.instance.__dict__.get(_LOADED, {}).get(self.attribute)
        return (loaded or self.read()).count

    def read(self, *, accuracy: str | None = None) -> Reading:
        """Read it now, as `reading.get`; 0 where nothing was added to it yet."""
        read = partial(
            reading.get, namespace=self.namespace, name=self.name, accuracy=accuracy
        )
        try:
            return read()
        except CounterNotFound:
            [found] = get_many([CounterName(self.namespace, self.name)])
            if found.counter_id is not None:
                # Made in between.
                return read()
            chosen = reading.choose_accuracy(namespaces.get(self.namespace), accuracy)
            return replace(found, accuracy=chosen)


class CounterField:
    """Attaches a counter to each object of a model; a plain descriptor, not a column.

    `migrate` creates the namespace, with the counter type, where it is missing. `label`
    takes the place of the model's own ("blog.article") in the counters' names: give the
    old one when a model is renamed. `on_delete="delete"` deletes an object's counter with
    all its events once the object's deletion has committed; "keep" leaves it.
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
        return self._attached(owner, key, instance)

    def __set__(self, instance: Model, value: object) -> None:
        raise AttributeError(
            f"{self.attribute!r} is a counter: it is not set, use .add()."
        )

    def of(self, key: object) -> AttachedCounter:
        """Return the counter of the object with this primary key, without reading it."""
        return self._attached(self.owner, key)

    def _attached(
        self, model: type[Any], key: object, instance: Model | None = None
    ) -> AttachedCounter:
        label = self.label or _named_for(self.declared_in, model)._meta.label_lower
        name = f"{label}:{key}:{self.attribute}"
        return AttachedCounter(self.namespace, name, self.attribute, instance)

    def _seen_from(self, owner: type[Any]) -> Self:
        seen = copy(self)
        seen.owner = owner
        return seen


def _named_for(declared_in: type[Any], model: type[Any]) -> Any:
    """Return the model that names the counters, the same for all views of one row.

    Proxies and multi-table children count where their topmost table does that has the
    field; the children of an abstract model each count for themselves.
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
            f"{model.__name__} is abstract: it has no objects to count for."
        )
    return concrete[-1]._meta.concrete_model


def with_counts(objects: Iterable[M], *attributes: str) -> list[M]:
    """Read the counts of all these objects in one query; return the objects.

    After it `article.views.count` asks nobody, until the next `article.views.add()`. A
    queryset is evaluated, and keeps the objects. The counts are eventual, in namespaces of
    accurate reads as well.
    """
    found = list(objects)
    counters: list[tuple[M, AttachedCounter]] = [
        (one, getattr(one, attribute)) for one in found for attribute in attributes
    ]
    readings = get_many([CounterName(of.namespace, of.name) for _, of in counters])
    for (one, counter), read in zip(counters, readings, strict=True):
        one.__dict__.setdefault(_LOADED, {})[counter.attribute] = read
    return found
