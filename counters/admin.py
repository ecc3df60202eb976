"""The write side in Django's admin: namespaces, grants, and a look at counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from counters.models import Counter, CounterType, Grant, Namespace

# Django's admin classes take their types only in the stubs.
if TYPE_CHECKING:
    NamespaceAdminBase = admin.ModelAdmin[Namespace]
    CounterAdminBase = admin.ModelAdmin[Counter]
    GrantInlineBase = admin.TabularInline[Grant, Namespace]
else:
    NamespaceAdminBase = CounterAdminBase = admin.ModelAdmin
    GrantInlineBase = admin.TabularInline


class GrantInline(GrantInlineBase):
    model = Grant
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(Namespace)
class NamespaceAdmin(NamespaceAdminBase):
    list_display = ["name", "counter_type", "accept_past", "retention", "bucket_size"]
    list_filter = ["counter_type"]
    search_fields = ["name", "description"]
    inlines = [GrantInline]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Namespace | None = None
    ) -> list[str]:
        """Clients know a namespace by its name; best-effort counts live elsewhere."""
        if obj is None:
            return []
        if obj.counter_type == CounterType.BEST_EFFORT:
            return ["name", "counter_type"]
        return ["name"]

    def formfield_for_choice_field(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        field = super().formfield_for_choice_field(db_field, request, **kwargs)
        # A namespace that is there cannot become best-effort.
        resolved = getattr(request, "resolver_match", None)
        changing = resolved is not None and "object_id" in resolved.kwargs
        if db_field.name == "counter_type" and changing and field is not None:
            field.choices = [
                choice
                for choice in CounterType.choices
                if choice[0] != CounterType.BEST_EFFORT
            ]
        return field

    def has_delete_permission(
        self, request: HttpRequest, obj: Namespace | None = None
    ) -> bool:
        # A namespace goes with all its counts: `manage.py delete_namespace` asks first.
        return False


@admin.register(Counter)
class CounterAdmin(CounterAdminBase):
    list_display = ["name", "namespace", "created_at"]
    list_filter = ["namespace"]
    search_fields = ["name__startswith"]
    # Never count a table of millions, nor sort it by anything without an index.
    show_full_result_count = False
    ordering = ["-id"]
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        # The first add creates a counter.
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Counter | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Counter | None = None
    ) -> bool:
        return False
