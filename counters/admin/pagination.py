"""Paginate large lists without counting all their rows."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest

from counters.admin.typed_bases import AdminBase, AdminMixinBase

# The list ends here; search finds the other rows.
MOST_ROWS = 1_000

# Django's class takes its type only in the stubs.
if TYPE_CHECKING:
    PaginatorBase = Paginator[Model]
else:
    PaginatorBase = Paginator


class BoundedPaginator(PaginatorBase):
    """Count no more rows than the list can show."""

    @cached_property
    def count(self) -> int:
        # In the list's order, so that the count uses the same index as the pages.
        rows: Any = self.object_list
        return int(rows[:MOST_ROWS].count())


class BoundedListMixin(AdminMixinBase):
    """Options of a list that may be large. Put it before `admin.ModelAdmin`."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    sortable_by = ()
    actions: Any = None


class ReadOnlyAdmin(BoundedListMixin, AdminBase):
    """A read-only list, newest first. Its rows are never counted."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
