"""Models of the read side: rollups, buckets, sweeps, failures, samples, processes."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from counters.db.fields import SnapshotField
from counters.errors import counted
from counters.models import Counter

# The snapshot before every transaction: a rollup that has folded nothing yet.
NOTHING_FOLDED = "1:1:"


class Rollup(models.Model):
    """The folded count of one counter, and its watermark."""

    counter = models.OneToOneField(Counter, on_delete=models.CASCADE, primary_key=True)
    # The counter's, repeated here so that one index can order a namespace's counts.
    namespace_id = models.BigIntegerField()
    # numeric: the sum of bigints never overflows.
    total = models.DecimalField(max_digits=40, decimal_places=0, db_default=0)
    events = models.BigIntegerField(db_default=0)
    # The transactions whose events are in the total. It never moves back.
    watermark = SnapshotField(db_default=NOTHING_FOLDED)
    # The system_identifier of the watermark's cluster; null: nothing is folded.
    cluster = models.BigIntegerField(null=True)
    # The time of the watermark, for display and alerts.
    watermark_at = models.DateTimeField(null=True)
    last_write_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            # A namespace's counters by count, and by last write: top N, page after page.
            models.Index(
                name="rollups_rollup_by_count",
                fields=["namespace_id", "total", "counter"],
            ),
            models.Index(
                name="rollups_rollup_by_last_write",
                fields=["namespace_id", "last_write_at", "counter"],
            ),
        ]

    def __str__(self) -> str:
        return f"rollup of counter {self.counter_id}"


class Bucket(models.Model):
    """The sum of a counter's events in one minute, hour or day (UTC)."""

    pk = models.CompositePrimaryKey("counter_id", "bucket_at")
    counter_id = models.BigIntegerField()
    bucket_at = models.DateTimeField()
    delta = models.DecimalField(max_digits=40, decimal_places=0)
    events = models.BigIntegerField()
    # The share of events that retention has dropped; null if all are kept. An audit adds
    # it to the kept events to recount the bucket.
    closed_delta = models.DecimalField(max_digits=40, decimal_places=0, null=True)
    closed_events = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.delta:+} at {self.bucket_at}"


class Sweep(models.Model):
    """The result of one sweep."""

    swept_at = models.DateTimeField("at")
    pending = models.IntegerField(help_text="Counters with events that no fold covers.")
    overdue = models.IntegerField(
        db_default=0,
        help_text="Counters that had waited longer than the grace; the sweep enqueued them.",
    )
    # Counted by the workers, after the sweep.
    healed = models.IntegerField(
        db_default=0,
        help_text="Counters that only this sweep's messages folded: their trigger was lost.",
    )
    oldest_lag = models.DurationField("longest lag", null=True)

    class Meta:
        indexes = [
            # The sweep history, newest first, and its trimming.
            models.Index(name="rollups_sweep_swept_at", fields=["swept_at"])
        ]

    def __str__(self) -> str:
        return f"sweep at {self.swept_at}: {self.healed} of {self.pending} healed"


class Failure(models.Model):
    """A quarantined counter: its fold failed. The sweep tries it again."""

    # No foreign key: a counter may be deleted while it is quarantined; sweeps tidy up.
    counter_id = models.BigIntegerField(primary_key=True)
    error = models.TextField()
    attempts = models.IntegerField("tries")
    failed_since = models.DateTimeField("fails since")
    failed_at = models.DateTimeField("last try")
    next_try_at = models.DateTimeField("next try")

    class Meta:
        verbose_name = "quarantined counter"
        verbose_name_plural = "quarantined counters"

    def __str__(self) -> str:
        return f"counter {self.counter_id}: {self.error}"


class Closing(models.Model):
    """An archived partition of events."""

    # Half-open, as the partition's bounds: since <= event time < until.
    since = models.DateTimeField("events from")
    until = models.DateTimeField()
    closed_at = models.DateTimeField("archived", db_default=Now())
    counters = models.BigIntegerField()
    events = models.BigIntegerField()
    total = models.DecimalField(max_digits=60, decimal_places=0)
    # When the table with the archived events was dropped.
    dropped_at = models.DateTimeField("dropped", null=True)

    class Meta:
        verbose_name = "archived partition"
        ordering = ["-closed_at"]
        constraints = [
            models.CheckConstraint(
                name="rollups_closing_since_before_until",
                condition=models.Q(since__lt=models.F("until")),
            )
        ]

    def __str__(self) -> str:
        return f"{counted(self.events, 'event')} from {self.since} until {self.until}"

    @property
    def table(self) -> str:
        return f"counters_event_closed_{self.pk}"


class Anchor(models.Model):
    """The identity of the database cluster that the watermarks and events belong to.

    One row. A dump carries it into another cluster, where it no longer matches: see
    rollups.folding.cluster_identity. Unmanaged, so that no flush of the tables removes it.
    """

    id = models.SmallIntegerField(primary_key=True)
    system_identifier = models.BigIntegerField()
    anchored_at = models.DateTimeField()

    class Meta:
        managed = False

    def __str__(self) -> str:
        return f"cluster {self.system_identifier}"


class Sample(models.Model):
    """Totals of the database and all processes at one moment. Kept for a day."""

    sampled_at = models.DateTimeField(primary_key=True)
    pending = models.BigIntegerField()
    lag_p50_seconds = models.FloatField()
    lag_p99_seconds = models.FloatField()
    lag_max_seconds = models.FloatField()
    # Rows inserted into the event table since PostgreSQL's statistics began.
    inserted = models.BigIntegerField()
    # The sums of all processes, past and present: see rollups.monitor.heartbeat.
    numbers = models.JSONField()

    def __str__(self) -> str:
        return f"sample of {self.sampled_at}"


class Process(models.Model):
    """A process of the service and its totals, updated by its heartbeat."""

    id = models.UUIDField(primary_key=True)
    # web, worker, beat, or a role of rollups.monitor.heartbeat; "ended" is the one row with the sums of all
    # removed rows.
    role = models.CharField(max_length=16)
    host = models.CharField(max_length=255)
    pid = models.IntegerField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())
    breaker_is_open = models.BooleanField(db_default=False)
    # Counters whose trigger waits in this process.
    waiting = models.BigIntegerField(db_default=0)
    # Name -> number since the process began.
    numbers = models.JSONField()

    class Meta:
        verbose_name_plural = "processes"

    def __str__(self) -> str:
        return f"{self.role} {self.pid} on {self.host}"
