"""A process's own count of its triggers: plain integers, cheap enough for every add."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counters (not messages), since the process began.

    requested = coalesced + published + failed + dropped + publishing + those that wait in
    the set; under the publisher's lock this holds at any moment.
    """

    requested: int = 0
    # Events that this process recorded; beside the identity.
    adds: int = 0
    # Joined one that was waiting in the set already, or that circulates.
    coalesced: int = 0
    published: int = 0
    # By the class of the error.
    failed: Counter[str] = field(default_factory=Counter)
    # By the reason: overflow, breaker, busy, exit.
    dropped: Counter[str] = field(default_factory=Counter)
    # Taken from the set, not yet known to be published.
    publishing: int = 0
    # Messages published; each names many counters.
    messages: int = 0
    _counted: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take_changes(self) -> dict[tuple[str, str], int]:
        """Return what was added since the last call, by name and label."""
        now: dict[tuple[str, str], int] = {
            ("adds", ""): self.adds,
            ("requested", ""): self.requested,
            ("coalesced", ""): self.coalesced,
            ("published", ""): self.published,
            ("messages", ""): self.messages,
            **{("failed", error): count for error, count in self.failed.items()},
            **{("dropped", reason): count for reason, count in self.dropped.items()},
        }
        changes = {
            key: count - self._counted[key]
            for key, count in now.items()
            if count != self._counted[key]
        }
        self._counted.update(changes)
        return changes

    def totals(self) -> dict[str, int]:
        """Return every count, by name."""
        return {
            "adds": self.adds,
            "requested": self.requested,
            "coalesced": self.coalesced,
            "published": self.published,
            "messages": self.messages,
            "failed": sum(self.failed.values()),
            "dropped": sum(self.dropped.values()),
        }
