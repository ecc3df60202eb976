"""Show counts in the admin pages of a project's own models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ChangeList
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Model
from django.http import HttpRequest

from rollups.fields import UNKNOWN, CounterField, with_counts_for_page

# Django's admin classes take their types only in the stubs.
if TYPE_CHECKING:
    AdminBase = admin.ModelAdmin[Any]
else:
    AdminBase = object


class CounterAdminMixin(AdminBase):
    """Add read-only counts to a ModelAdmin. Put it before `admin.ModelAdmin`.

        class ArticleAdmin(CounterAdminMixin, admin.ModelAdmin):
            counter_fields = ["views"]

    The list reads all counts of a page in one query. It cannot be ordered by counts: they
    are in another table, and no index joins their names to this model's rows.
    """

    counter_fields: Sequence[str] = ()

    def get_list_display(self, request: HttpRequest) -> Any:
        return [*super().get_list_display(request), *self._columns]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_readonly_fields(request, obj), *self._columns]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the counts also if the fieldsets are listed by hand."""
        given = super().get_fieldsets(request, obj)
        shown = flatten_fieldsets(given)
        left = [column for column in self._columns if column not in shown]
        return [*given, (None, {"fields": left})] if left else given

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        plain: Any = super().get_changelist(request, **kwargs)
        return type("CountedChangeList", (_CountedPage, plain), {})

    @cached_property
    def _columns(self) -> list[Any]:
        """Return the same functions each time: Django looks for them among read-only fields."""
        return [_column(self.model, name) for name in self.counter_fields]


class _CountedPage:
    """Change list that reads the counts of its page in one query."""

    result_list: Any
    model_admin: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)  # type: ignore[misc]
        with_counts_for_page(self.result_list, *self.model_admin.counter_fields)


def _column(model: type[Model], attribute: str) -> Callable[[Model], str]:
    if not isinstance(getattr(model, attribute, None), CounterField):
        raise TypeError(
            f"counter_fields: {model.__name__} has no CounterField {attribute!r}."
        )

    @admin.display(description=attribute.replace("_", " "))
    def column(instance: Model) -> str:
        # The page for a new object has an unsaved one.
        if instance._state.adding:
            return "-"
        count = getattr(instance, attribute).count_for_page()
        return UNKNOWN if count is None else str(intcomma(count))

    column.__name__ = attribute
    return column
