"""The admin list of counters, with counts and lag."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from counters.admin.pagination import BoundedListMixin
from counters.admin.typed_bases import AdminBase
from counters.models import Counter
from rollups.admin import actions as acting
from rollups.admin import counter_page
from rollups.admin.search import CounterList, NamespaceFilter, OrderFilter, StateFilter
from rollups.monitor import diagnosis
from rollups.monitor.svg_charts import sparkline


class CountedList(CounterList):
    """Read the counts of the page's counters in three statements."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        counters: list[Any] = list(self.result_list)
        states = diagnosis.read_states([one.pk for one in counters])
        # A counter that was deleted meanwhile has none.
        self.result_list: Any = [one for one in counters if one.pk in states]
        for one in self.result_list:
            one.state = states[one.pk]


@admin.register(Counter)
class CounterAdmin(BoundedListMixin, AdminBase):
    list_display = ["name", "namespace_name", "count", "state", "as_of", "last_day"]
    list_filter = [NamespaceFilter, StateFilter, OrderFilter]
    search_fields = ["name__startswith"]
    search_help_text = (
        "Finds names that begin with this text. Upper and lower case matter."
    )
    actions = ["roll_up", "verify"]

    def response_action(
        self,
        request: HttpRequest,
        queryset: QuerySet[Counter],
        action_location: Any = None,
    ) -> Any:
        """Act on the selected rows only: "select all" may mean a million."""
        ticked = request.POST.getlist(ACTION_CHECKBOX_NAME)[: self.list_per_page]
        ids = [int(one) for one in ticked if one.isdecimal()]
        return super().response_action(request, Counter.objects.filter(pk__in=ids))

    def get_list_display(self, request: HttpRequest) -> Any:
        """Leave the namespace out where there is one only: the row has to fit."""
        given = super().get_list_display(request)
        one = request.GET.get(NamespaceFilter.parameter_name)
        return [name for name in given if not one or name != "namespace_name"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CountedList

    def get_urls(self) -> list[Any]:
        def to(name: str, view: Any) -> Any:
            return path(
                f"<int:counter_id>/{name}/",
                self.admin_site.admin_view(partial(view, self)),
                name=f"counters_counter_{name}",
            )

        return [
            to("roll-up", acting.roll_up_one),
            to("clear", acting.clear_one),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        return counter_page.show(self, request, object_id)

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
        # A counter goes with its count: `manage.py counters delete-counter` asks first.
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Nothing of a counter can be edited. The right to change it allows to fold and clear it."""
        return acting.may_act(request)

    @admin.action(description="Roll up now", permissions=["act"])
    def roll_up(
        self, request: HttpRequest, queryset: QuerySet[Counter]
    ) -> HttpResponseBase | None:
        return acting.roll_up_many(self, request, queryset)

    @admin.action(description="Verify: recount from events", permissions=["view"])
    def verify(self, request: HttpRequest, queryset: QuerySet[Counter]) -> None:
        acting.verify(self, request, queryset)

    @admin.display(description="namespace")
    def namespace_name(self, counter: Counter) -> str:
        return counter.namespace.name

    @admin.display(description="count")
    def count(self, counter: Any) -> SafeString:
        return format_html('<span class="number">{}</span>', f"{counter.state.count:,}")

    @admin.display(description="state")
    def state(self, counter: Any) -> SafeString:
        return counter_page.badge(counter.state, folded="folded")

    @admin.display(description="as of (UTC)")
    def as_of(self, counter: Any) -> str:
        as_of, now = counter.state.as_of, datetime.now(UTC)
        return (
            f"{as_of:%H:%M:%S}" if as_of.date() == now.date() else f"{as_of:%Y-%m-%d}"
        )

    @admin.display(description="last 24 hours")
    def last_day(self, counter: Any) -> SafeString:
        day = [float(delta) for delta in counter.state.day]
        return sparkline(day, label=f"{sum(day):+,.0f} in 24 hours")
