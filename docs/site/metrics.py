"""Every metric that /metrics exposes."""

from __future__ import annotations

from prometheus_client.metrics import MetricWrapperBase

from docs.site.tables import table
from rollups.monitor import metrics
from rollups.monitor.prometheus import DATABASE_GAUGES

INTRODUCTION = """# Metrics

`GET /metrics` exposes them in the text format of Prometheus. Those of the processes are summed
over all processes of a machine; those of the database are the same whichever machine is asked.
No label grows with the number of counters.

"""


def text() -> str:
    rows = []
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            [described] = list(metric.describe())
            ending = "_total" if described.type == "counter" else ""
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)
            rows.append(
                (
                    f"`{described.name}{ending}`",
                    described.type,
                    labels,
                    described.documentation,
                )
            )
    rows += [
        (f"`rollups_{name}_total`", "counter", "", says)
        for name, says in metrics.DATABASE_COUNTERS.items()
    ]
    rows += [(f"`{name}`", "gauge", "", says) for name, says in DATABASE_GAUGES.items()]
    return INTRODUCTION + table(["metric", "type", "labels", "meaning"], rows) + "\n"
