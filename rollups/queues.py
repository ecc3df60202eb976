"""How the queue of the rollup task is declared, on every kind of broker."""

from __future__ import annotations

from kombu import Exchange, Queue


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
