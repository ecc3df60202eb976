"""The admin page of one counter."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from counters.durations import format_roughly
from counters.errors import CountersError
from counters.models import Counter
from rollups.admin import actions
from rollups.folding import audit
from rollups.monitor import diagnosis, svg_charts
from rollups.reading import series

_FORMATS = {"minute": "%H:%M", "hour": "%m-%d %H:%M", "day": "%Y-%m-%d"}


def show(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    """Answer the page; with `?audit` also recount the counter."""
    counter = (
        Counter.objects.select_related("namespace").filter(pk=object_id).first()
        if object_id.isdecimal()
        else None
    )
    if counter is None:
        raise Http404
    if not model_admin.has_view_permission(request, counter):
        raise PermissionDenied
    state = diagnosis.read_states([counter.pk]).get(counter.pk)
    if state is None:
        raise Http404
    is_lagging = state.pending and state.lag is not None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": counter.name,
        "opts": model_admin.opts,
        "counter": counter,
        "state": state,
        "badge": badge(state, folded="folded: nothing is pending"),
        "reasons": diagnosis.explain_lag(counter.pk, state.lag)
        if is_lagging and state.lag is not None
        else [],
        "may_act": actions.may_act(request),
        "events": diagnosis.read_latest_events(counter.pk),
        "writes": diagnosis.read_last_writes(counter.pk),
        **_series(counter, request.GET.get("per", "")),
        **(_audit(counter) if "audit" in request.GET else {}),
    }
    return TemplateResponse(request, "rollups/counter.html", context)


def badge(state: diagnosis.CounterState, *, folded: str) -> SafeString:
    """Say whether a counter is pending, and for how long."""
    kind, says = "good", folded
    if state.pending:
        kind, says = "bad" if state.is_late else "warn", "pending"
        if state.lag is not None:
            says += f", lag {format_roughly(state.lag.total_seconds())}"
    return format_html('<span class="badge badge-{}">{}</span>', kind, says)


def _series(counter: Counter, per: str) -> dict[str, Any]:
    lengths = list(series.LENGTHS)
    offered = lengths[lengths.index(counter.namespace.bucket_size) :]
    bucket = per if per in offered else offered[0]
    found = _last_buckets_with_data(counter, bucket)
    form = _FORMATS[bucket]
    return {
        "per": bucket,
        "offered": offered,
        "plot": svg_charts.bars(
            [float(one.delta) for one in found.buckets],
            label=f"Sums of the last {len(found.buckets)} buckets, one per {bucket}; the table"
            " below has the same numbers.",
            first=f"{found.since:{form}}",
            last=f"{found.buckets[-1].at:{form}} UTC",
        ),
        "buckets": [one for one in reversed(found.buckets) if one.events],
    }


def _last_buckets_with_data(counter: Counter, bucket: str) -> series.Series:
    """Return the last 60 buckets; if they are empty, the 60 that end with the newest data."""
    found = series.series(
        namespace=counter.namespace.name,
        name=counter.name,
        bucket=bucket,
        with_gaps=True,
    )
    span = series.span_of_data(counter)
    if span is None or any(one.events for one in found.buckets):
        return found
    return series.series(
        namespace=counter.namespace.name,
        name=counter.name,
        bucket=bucket,
        until=span[1] + series.LENGTHS[bucket],
        with_gaps=True,
    )


def _audit(counter: Counter) -> dict[str, Any]:
    try:
        audited = audit.audit_some([counter.pk])
    except (CountersError, OperationalError) as error:
        return {"audit_error": audit.why_not(error)}
    return {"audited": audited[0]} if audited else {}
