"""Admin pages of grants: the list, and the grants on a namespace's page."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from counters.admin.account_fields import USER_NAME_BEGINS, SearchedChoicesMixin
from counters.admin.confirmation import ConfirmingMixin
from counters.admin.pagination import BoundedListMixin
from counters.admin.typed_bases import AdminBase, InlineBase
from counters.models import Grant


class GrantInline(SearchedChoicesMixin, InlineBase):
    model = Grant
    extra = 0
    searched_fields = ("user", "group")
    verbose_name_plural = "grants"


@admin.register(Grant)
class GrantAdmin(SearchedChoicesMixin, ConfirmingMixin, BoundedListMixin, AdminBase):
    list_display = [
        "__str__",
        "namespace",
        "user",
        "group",
        "reads",
        "writes",
        "manages",
    ]
    search_fields = ["namespace__name__startswith", USER_NAME_BEGINS]
    search_help_text = "The beginning of a namespace's or a user's name."
    searched_fields = ("namespace", "user", "group")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Grant]:
        return (
            super()
            .get_queryset(request)
            .select_related("namespace", "user", "group")
            .order_by("-pk")
        )

    @admin.display(description="read", boolean=True)
    def reads(self, grant: Grant) -> bool:
        return grant.can_read

    @admin.display(description="write", boolean=True)
    def writes(self, grant: Grant) -> bool:
        return grant.can_write

    @admin.display(description="manage", boolean=True)
    def manages(self, grant: Grant) -> bool:
        return grant.can_manage
