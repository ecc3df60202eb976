"""Admin pages of namespaces."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db import connection
from django.db.models import DurationField, TextField
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from counters.admin.confirmation import ConfirmingMixin
from counters.admin.duration_field import SpanField
from counters.admin.grants import GrantInline
from counters.admin.pagination import BoundedListMixin
from counters.admin.typed_bases import AdminBase
from counters.db.statements import fetch
from counters.durations import format_duration
from counters.models import CounterType, Namespace

# The list counts the counters of a namespace up to this number.
MOST_COUNTED = 1_000


class NamespaceList(ChangeList):
    """Count the counters of all namespaces on the page in one statement."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        namespaces: list[Any] = list(self.result_list)
        counted = dict(
            fetch(
                connection,
                "counters",
                "count_some",
                namespace_ids=[one.pk for one in namespaces],
                most=MOST_COUNTED + 1,
            )
        )
        for one in namespaces:
            one.counted = counted.get(one.pk, 0)
        self.result_list: Any = namespaces


@admin.register(Namespace)
class NamespaceAdmin(ConfirmingMixin, BoundedListMixin, AdminBase):
    list_display = [
        "name",
        "counter_type",
        "accepts_back",
        "keeps_events",
        "bucket_size",
        "counters",
    ]
    list_filter = ["counter_type"]
    search_fields = ["name__startswith"]
    search_help_text = "The beginning of a name."
    inlines = [GrantInline]
    fieldsets = [
        (None, {"fields": ["name", "description", "counter_type"]}),
        (
            "Accept window",
            {
                "fields": ["accept_past", "accept_future"],
                "description": "An event outside this window is refused; the error states"
                " the window.",
            },
        ),
        ("History", {"fields": ["retention", "bucket_size"]}),
    ]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NamespaceList

    def consequences(self, form: Any) -> list[str]:
        # A new namespace has no events; its form begins with the default.
        before = form.initial.get("retention")
        after = form.cleaned_data["retention"]
        if before is None or after >= before:
            return []
        return [
            f"Events older than {format_duration(after)} will be dropped within hours and cannot"
            " be restored. Counts and series stay."
        ]

    @admin.display(description="accepts back to")
    def accepts_back(self, namespace: Namespace) -> str:
        return format_duration(namespace.accept_past)

    @admin.display(description="keeps events for")
    def keeps_events(self, namespace: Namespace) -> str:
        return format_duration(namespace.retention)

    @admin.display(description="counters")
    def counters(self, namespace: Any) -> SafeString | str:
        if namespace.counter_type == CounterType.BEST_EFFORT:
            return "in the cache"
        shown = f"{min(namespace.counted, MOST_COUNTED):,}"
        if namespace.counted > MOST_COUNTED:
            shown = f"more than {shown}"
        return format_html(
            '<a href="{}?namespace={}">{}</a>',
            reverse("admin:counters_counter_changelist"),
            namespace.pk,
            shown,
        )

    def get_readonly_fields(
        self, request: HttpRequest, obj: Namespace | None = None
    ) -> list[str]:
        """Return the fields that cannot change: the name, and the type of a namespace."""
        if obj is None:
            return []
        if obj.counter_type == CounterType.BEST_EFFORT:
            return ["name", "counter_type"]
        return ["name"]

    def formfield_for_dbfield(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        if isinstance(db_field, DurationField):
            return db_field.formfield(form_class=SpanField)
        if isinstance(db_field, TextField):
            return db_field.formfield(widget=AdminTextareaWidget(attrs={"rows": 3}))
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def formfield_for_choice_field(
        self, db_field: Any, request: HttpRequest, **kwargs: Any
    ) -> Any:
        field = super().formfield_for_choice_field(db_field, request, **kwargs)
        # An existing namespace cannot become best-effort.
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
        # A deletion deletes all counts: `manage.py counters delete-namespace` asks first.
        return False
