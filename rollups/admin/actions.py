"""Admin actions on counters: roll up, clear, verify. Changes are confirmed and logged."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from counters.db import clock
from counters.errors import CountersError, counted
from counters.models import Counter
from counters.recording import names, tokens
from rollups.folding import audit, bisect
from rollups.folding.bisect import fold_each
from rollups.folding.cluster_identity import anchored_only
from rollups.reading import clear


def may_act(request: HttpRequest) -> bool:
    """Say whether the user may fold and clear."""
    return request.user.has_perm("counters.change_counter")


def roll_up_one(
    model_admin: Any, request: HttpRequest, counter_id: int
) -> HttpResponseBase:
    counter = _get(request, counter_id)
    back = reverse("admin:counters_counter_change", args=[counter_id])
    if request.method == "POST":
        _roll_up(model_admin, request, [counter])
        return redirect(back)
    return _ask_to_roll_up(model_admin, request, [counter], back)


def roll_up_many(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Counter]
) -> HttpResponseBase | None:
    """Fold the selected counters; the first call asks."""
    counters = list(queryset.select_related("namespace"))
    if "confirmed" in request.POST:
        _roll_up(model_admin, request, counters)
        return None
    return _ask_to_roll_up(
        model_admin,
        request,
        counters,
        back=request.get_full_path(),
        kept=[
            ("action", "roll_up"),
            *((ACTION_CHECKBOX_NAME, counter.pk) for counter in counters),
        ],
    )


def clear_one(
    model_admin: Any, request: HttpRequest, counter_id: int
) -> HttpResponseBase:
    """Set a count to 0 after its name was typed. A form that is sent twice clears once."""
    counter = _get(request, counter_id)
    back = reverse("admin:counters_counter_change", args=[counter_id])
    typed_error = ""
    token = request.POST.get("token", "")
    if request.method == "POST":
        if names.normalized(request.POST.get("typed", "")) == counter.name:
            _clear(model_admin, request, counter, token)
            return redirect(back)
        typed_error = "This is not the counter's name. Nothing was cleared."
    return _ask(
        model_admin,
        request,
        title="Clear a counter?",
        question=f"Clear {counter.name} in {counter.namespace.name}?",
        facts=[
            "Its count becomes 0, for all readers.",
            "An event that subtracts the count is added. No event is removed, and the series"
            " shows the clear.",
            "Adds at the same time are kept.",
        ],
        confirm="Clear it",
        is_danger=True,
        back=back,
        typed=counter.name,
        typed_error=typed_error,
        kept=[("token", token or tokens.new(clock.now()).text)],
    )


def verify(model_admin: Any, request: HttpRequest, queryset: QuerySet[Counter]) -> None:
    """Recount the selected counters and show what differs. Change nothing."""
    try:
        audited = audit.audit_some(list(queryset.values_list("pk", flat=True)))
    except (CountersError, OperationalError) as error:
        model_admin.message_user(request, audit.why_not(error), messages.ERROR)
        return
    wrong = [one for one in audited if not one.is_right]
    for one in wrong:
        model_admin.message_user(
            request,
            f"The counter {one.name} is wrong. Sum in the rollup: {one.total:,}, of the events:"
            f" {one.recounted_total:,}, of the buckets: {one.buckets_total:,}. Wrong buckets:"
            f" {one.buckets_off:,}. Pending events that no fold finds: {one.unseen_events:,}."
            " To repair it, run manage.py counters verify --repair.",
            messages.ERROR,
        )
    if not wrong:
        model_admin.message_user(
            request,
            f"Recounted {counted(len(audited), 'counter')}: no difference.",
            messages.SUCCESS,
        )


def _get(request: HttpRequest, counter_id: int) -> Counter:
    if not may_act(request):
        raise PermissionDenied
    return get_object_or_404(Counter.objects.select_related("namespace"), pk=counter_id)


def _ask_to_roll_up(
    model_admin: Any,
    request: HttpRequest,
    counters: list[Counter],
    back: str,
    kept: Iterable[tuple[str, Any]] = (),
) -> HttpResponseBase:
    what = counters[0].name if len(counters) == 1 else counted(len(counters), "counter")
    return _ask(
        model_admin,
        request,
        title="Roll up now?",
        question=f"Roll up {what} now?",
        facts=[
            "Pending events are folded into the count at once, without a worker.",
            "Accurate counts do not change; eventual counts become up to date.",
        ],
        confirm="Roll up",
        is_danger=False,
        back=back,
        kept=kept,
    )


def _ask(model_admin: Any, request: HttpRequest, **context: Any) -> TemplateResponse:
    site: admin.AdminSite = model_admin.admin_site
    context |= {
        **site.each_context(request),
        "opts": model_admin.opts,
        "trail": "counters",
    }
    return TemplateResponse(request, "counters/confirm.html", context)


def _roll_up(model_admin: Any, request: HttpRequest, counters: list[Counter]) -> None:
    ids = [one.pk for one in counters]
    try:
        # Fold a quarantined counter now, before its next try is due.
        bisect.try_now(ids)
        with anchored_only():
            folds = fold_each(ids, until=math.inf)
    except CountersError as error:
        model_admin.message_user(request, error.message, messages.ERROR)
        return
    events_of = {pk: events for fold in folds for pk, events in fold.events_of.items()}
    for counter in counters:
        model_admin.log_change(
            request,
            counter,
            f"Rolled up: {counted(events_of.get(counter.pk, 0), 'event')}.",
        )
    model_admin.message_user(
        request,
        f"Folded {counted(sum(events_of.values()), 'event')} of"
        f" {counted(len(counters), 'counter')}.",
        messages.SUCCESS,
    )
    missed = [one.name for one in counters if one.pk not in events_of]
    if missed:
        model_admin.message_user(
            request,
            f"Not folded: {', '.join(missed)}. Another fold is running, or the fold failed:"
            " see the counter's page.",
            messages.WARNING,
        )


def _clear(
    model_admin: Any, request: HttpRequest, counter: Counter, token: str
) -> None:
    try:
        cleared = clear.clear(
            namespace=counter.namespace.name, name=counter.name, token=token or None
        )
        # Fold at once, so that the page does not show the old count.
        fold_each([counter.pk], until=math.inf)
    except CountersError as error:
        model_admin.message_user(request, error.message, messages.ERROR)
        return
    if cleared.duplicate:
        model_admin.message_user(
            request, f"The counter {counter.name} was already cleared.", messages.INFO
        )
        return
    model_admin.log_change(
        request, counter, f"Cleared: the count was {cleared.count_before:,}."
    )
    model_admin.message_user(
        request,
        f"Cleared {counter.name}: its count was {cleared.count_before:,}.",
        messages.SUCCESS,
    )
