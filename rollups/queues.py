"""How the queue of the rollup task is declared, on every kind of broker."""

from __future__ import annotations

from amqp.exceptions import PreconditionFailed
from kombu import Connection, Exchange, Queue


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


def declare(queue: Queue, connection: Connection) -> None:
    """Declare the queue; raise QueueDiffers where it exists with other arguments."""
    try:
        queue.bind(connection.default_channel).declare()
    except PreconditionFailed as error:
        raise QueueDiffers(queue.name, str(error.reply_text)) from error
