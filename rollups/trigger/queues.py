"""How the queue of the rollup task is declared, on every kind of broker."""

from __future__ import annotations

from amqp.exceptions import PreconditionFailed
from celery import Celery
from kombu import Connection, Exchange, Queue

from rollups import conf


class QueueDiffers(Exception):
    """The broker has a queue of this name with other arguments."""

    def __init__(self, queue: str, reason: str) -> None:
        super().__init__(
            f"RabbitMQ has a queue {queue!r} that was declared with other arguments"
            f" ({reason}). Delete it (rabbitmqctl delete_queue {queue}; the sweep finds"
            " what its messages named), or set ROLLUPS_QUEUE to a new name."
        )


def rollup_queue(name: str, *, most_messages: int) -> Queue:
    """Return a queue that outlives a broker's restart, but not its messages.

    RabbitMQ drops the oldest message beyond `most_messages`; on Redis the publishers do
    that. It is durable, because RabbitMQ 4.3 refuses transient queues; and classic,
    because a quorum queue would write disposable messages to the disk.
    """
    return Queue(
        name,
        # The default exchange: there is nothing to declare or bind.
        exchange=Exchange("", type="direct"),
        routing_key=name,
        durable=True,
        queue_arguments={
            "x-queue-type": "classic",
            "x-max-length": most_messages,
            "x-overflow": "drop-head",
        },
    )


def broker_urls(setting: object) -> list[str]:
    """Return the URLs of a broker setting: a list, or text separated by `;`."""
    if isinstance(setting, (list, tuple)):
        return [str(url) for url in setting]
    return [url for url in str(setting or "").split(";") if url]


def is_read(app: Celery) -> bool:
    """Tell whether this worker reads the queue of rollup messages (-Q and -X decide)."""
    return conf.queue_name() in app.amqp.queues.consume_from


def enrol(app: Celery) -> Queue:
    """Return the app's queue of rollup messages; add ours where its settings name none.

    So a worker without -Q reads it beside the project's own queues, and one with
    `-Q rollups` declares it as everyone else does.
    """
    queues = app.amqp.queues
    name = conf.queue_name()
    if name not in queues:
        queues.select_add(rollup_queue(name, most_messages=conf.queue_messages()))
    found: Queue = queues[name]
    return found


def declare(queue: Queue, connection: Connection) -> None:
    """Declare the queue; raise QueueDiffers where it exists with other arguments."""
    try:
        queue.bind(connection.default_channel).declare()
    except PreconditionFailed as error:
        raise QueueDiffers(queue.name, str(error.reply_text)) from error
