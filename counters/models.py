"""Models of the write side: namespaces, counters, events, last writes, claims."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models.functions import Now

from counters.db.fields import CurrentTransactionId, Xid8Field
from counters.durations import LONGEST
from counters.errors import InvalidValue
from counters.recording.names import COUNTER_NAME_LENGTH
from counters.signals import window_widening

NAMESPACE_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


class CounterType(models.TextChoices):
    """The default accuracy of reads in a namespace."""

    EVENTUAL = "eventual", "eventual: reads answer from the rollup"
    ACCURATE = "accurate", "accurate: reads include pending events"
    BEST_EFFORT = "best-effort", "best-effort: in the cache only; may be lost"


class BucketSize(models.TextChoices):
    """The length of the buckets in which a namespace keeps its series."""

    MINUTE = "minute", "per minute"
    HOUR = "hour", "per hour"
    DAY = "day", "per day"


class Namespace(models.Model):
    """The unit of configuration and access."""

    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[RegexValidator(rf"^{NAMESPACE_PATTERN}\Z")],
        help_text="At most 64 letters, digits, dots, dashes and underscores. Clients send"
        " it in every call, so it cannot be changed later.",
    )
    description = models.TextField(
        blank=True, default="", help_text="The purpose of the namespace, for people."
    )
    counter_type = models.CharField(
        max_length=16,
        choices=CounterType.choices,
        default=CounterType.EVENTUAL,
        help_text="The accuracy of a read that does not name one. Best-effort counters are"
        " kept in the cache only; a namespace cannot change to this type or from it.",
    )
    accept_past = models.DurationField(
        "accepts events back to",
        validators=[MaxValueValidator(LONGEST)],
        default=timedelta(hours=24),
        help_text="How old an event may be when it arrives, and how long a retry with the"
        " same token is safe.",
    )
    accept_future = models.DurationField(
        "accepts events ahead by",
        validators=[MaxValueValidator(LONGEST)],
        default=timedelta(minutes=5),
        help_text="How far a client's clock may be ahead of the server's.",
    )
    retention = models.DurationField(
        "keeps events for",
        validators=[MaxValueValidator(LONGEST)],
        default=timedelta(days=30),
        help_text="How long single events are kept after they are folded. Totals and series"
        " are kept forever. Raising this value does not bring back dropped events.",
    )
    bucket_size = models.CharField(
        "keeps series",
        max_length=8,
        choices=BucketSize.choices,
        default=BucketSize.MINUTE,
        help_text="The length of the buckets of series. Shorter buckets need more rows: one"
        " for each counter and minute, hour or day in which it changed.",
    )
    created_at = models.DateTimeField("created", auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="counters_namespace_accept_past_positive",
                condition=models.Q(accept_past__gt=timedelta(0)),
            ),
            models.CheckConstraint(
                name="counters_namespace_accept_future_not_negative",
                condition=models.Q(accept_future__gte=timedelta(0)),
            ),
            models.CheckConstraint(
                name="counters_namespace_retention_covers_accept_past",
                condition=models.Q(retention__gte=models.F("accept_past")),
                violation_error_message="Events must be kept for at least the accept"
                " window, so that retries are recognised.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Check the change for forms: see `check_change`."""
        try:
            self.check_change()
        except InvalidValue as error:
            field = "bucket_size" if error.field == "bucket_size" else "accept_past"
            raise ValidationError({field: error.message}) from error

    def check_change(self) -> None:
        """Raise InvalidValue if counts or series would be wrong after the change.

        Call it in the transaction that saves.
        """
        self.check_window()
        self.check_bucket_size()

    def check_bucket_size(self) -> None:
        """Raise InvalidValue if the buckets would become finer than the sums kept so far.

        A day's sum would stand in the day's first minute, as if all events had come then.
        """
        if self.pk is None or self.bucket_size not in BucketSize.values:
            return  # a new namespace, or a value that the field refuses
        sizes = BucketSize.values
        kept = Namespace.objects.select_for_update(no_key=True).filter(pk=self.pk)
        with transaction.atomic():
            for one in kept:
                if sizes.index(self.bucket_size) < sizes.index(one.bucket_size):
                    raise InvalidValue(
                        "bucket_size",
                        self.bucket_size,
                        f"{' or '.join(sizes[sizes.index(one.bucket_size) :])}: sums that"
                        f" were kept per {one.bucket_size} cannot be divided; create another"
                        " namespace",
                    )

    def check_window(self) -> None:
        """Raise InvalidValue where older events would be accepted again than were kept.

        The tokens of those are gone with them: a retry would count twice. To be called in the
        transaction that saves.
        """
        if self.pk is None or self.accept_past > LONGEST:
            return  # a new namespace, or a value that the field refuses
        # Locked first in every way here, so that two changes cannot wait for each other.
        kept = Namespace.objects.select_for_update(no_key=True).filter(pk=self.pk)
        with transaction.atomic():
            if any(self.accept_past > one.accept_past for one in kept):
                window_widening.send(sender=Namespace, namespace=self)


class Grant(models.Model):
    """The rights of a user or a group in a namespace.

    For users without a grant the namespace does not seem to exist. Superusers may do
    everything.
    """

    namespace = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, related_name="grants"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        help_text="A user or a group, not both.",
    )
    group = models.ForeignKey(
        "auth.Group",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        help_text="All users of the group get these rights.",
    )
    can_read = models.BooleanField(
        default=False, help_text="Read counters, lists and series."
    )
    can_write = models.BooleanField(default=False, help_text="Add and clear.")
    can_manage = models.BooleanField(
        default=False, help_text="Change the namespace; delete it or its counters."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="counters_grant_user_or_group",
                condition=models.Q(user__isnull=False, group__isnull=True)
                | models.Q(user__isnull=True, group__isnull=False),
                violation_error_message="A grant is for a user or for a group.",
            ),
            models.UniqueConstraint(
                name="counters_grant_once_a_user", fields=["namespace", "user"]
            ),
            models.UniqueConstraint(
                name="counters_grant_once_a_group", fields=["namespace", "group"]
            ),
        ]

    def __str__(self) -> str:
        rights = [
            name for name in ("read", "write", "manage") if getattr(self, f"can_{name}")
        ]
        return f"{self.user or self.group}: {', '.join(rights) or 'nothing'} in {self.namespace}"


class Counter(models.Model):
    """A named count in a namespace."""

    # The unique constraint below serves look-ups by namespace.
    namespace = models.ForeignKey(Namespace, on_delete=models.PROTECT, db_index=False)
    # Byte order: names are compared exactly, whatever the database's locale.
    name = models.CharField(max_length=COUNTER_NAME_LENGTH, db_collation="C")
    created_at = models.DateTimeField("created", db_default=Now())

    class Meta:
        constraints = [
            # Also the index by which every add and read finds its counter.
            models.UniqueConstraint(
                name="counters_counter_namespace_name", fields=["namespace", "name"]
            ),
            models.CheckConstraint(
                name="counters_counter_name_not_empty", condition=~models.Q(name="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Event(models.Model):
    """One durable signed delta; never updated. Partitioned by event_time.

    The table is made by SQL in the first migration. There is no foreign key to the
    counter: its share lock on a hot parent row costs what this design saves.
    """

    # Django wants a primary key. The table has none: equal events are different events.
    pk = models.CompositePrimaryKey("counter_id", "event_time", "xid")
    counter_id = models.BigIntegerField()
    # NULL for an event that was added without a token.
    token = models.UUIDField(null=True)
    event_time = models.DateTimeField()
    delta = models.BigIntegerField()
    xid = Xid8Field(db_default=CurrentTransactionId())

    class Meta:
        indexes = [
            # The fold and accurate reads: a counter's events of the transactions that its
            # watermark does not cover, summed from the index alone.
            models.Index(
                name="counters_event_unfolded",
                fields=["counter_id", "xid"],
                include=["event_time", "delta"],
            )
        ]
        constraints = [
            # The adds' ON CONFLICT, and the look-up of a token's first event.
            models.UniqueConstraint(
                name="counters_event_token",
                fields=["token", "counter_id", "event_time"],
                condition=models.Q(token__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.delta:+d} at {self.event_time}"


class LastWrite(models.Model):
    """Marks a counter as pending: one row per counter and writing connection.

    The slot is the connection's pg_backend_pid(), so two live transactions never share a
    row and writers never wait for each other. A row exists only while it is not settled.
    """

    pk = models.CompositePrimaryKey("counter_id", "slot")
    counter_id = models.BigIntegerField()
    slot = models.IntegerField()
    written_at = models.DateTimeField()
    # Set on insert, kept on update: a hot counter's written_at is always fresh.
    pending_since = models.DateTimeField()
    # The span of event times that wait here: the fold reads no other partition.
    oldest_event_time = models.DateTimeField()
    newest_event_time = models.DateTimeField()
    # Of the LAST transaction that wrote the row, not the greatest: only then does "its
    # xid is visible" mean "every write through this slot is visible".
    xid = Xid8Field(db_default=CurrentTransactionId())

    def __str__(self) -> str:
        return f"counter {self.counter_id}, slot {self.slot}"


class Claim(models.Model):
    """Records that a token without a time was used on a counter.

    An event is unique by (counter, token, event time). A client that sends neither a
    UUIDv7 nor a generation time would get a new event time with every retry; the claim
    gives all of them the first one's.
    """

    pk = models.CompositePrimaryKey("counter_id", "token")
    counter_id = models.BigIntegerField()
    token = models.UUIDField()
    event_time = models.DateTimeField()
    delta = models.BigIntegerField()
    # The first event's time plus the accept window; then the token may count again.
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            # Housekeeping drops expired claims.
            models.Index(name="counters_claim_expires_at", fields=["expires_at"])
        ]

    def __str__(self) -> str:
        return f"token {self.token} on counter {self.counter_id}"


class ImportProgress(models.Model):
    """The progress of an unfinished import.

    It is committed together with the events of the rows before that place.
    """

    namespace = models.ForeignKey(Namespace, on_delete=models.CASCADE, db_index=False)
    # Of the file's contents and of the options that decide what event a row becomes.
    digest = models.CharField(max_length=64)
    place = models.JSONField()
    kept_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            # Also the index by which an import finds its progress.
            models.UniqueConstraint(
                name="counters_importprogress_once", fields=["namespace", "digest"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.digest[:12]} up to line {self.place.get('line')}"
