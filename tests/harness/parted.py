"""Tries what a partition does, in its own process: prints whether words get across.

`python -m tests.harness.parted` sends a datagram each way between two hosts: as they are,
with one direction cut, with the other cut, and joined again.
"""

from __future__ import annotations

import socket
import sys

from tests.harness.hosts import Hosts, NoHostsError

_SECONDS = 1.0
_PORT = 9999


def main() -> int:
    try:
        hosts = Hosts(("one", "other"))
    except NoHostsError as error:
        sys.stdout.write(f"No hosts can be made on this machine: {error}.\n")
        return 1
    try:
        ends = [_socket(hosts, name) for name in ("one", "other")]
        _say(hosts, ends)
        hosts.cut("one", "other")
        _say(hosts, ends)
        hosts.join("one", "other")
        hosts.cut("other", "one")
        _say(hosts, ends)
        hosts.join("other", "one")
        _say(hosts, ends)
    finally:
        hosts.remove()
    return 0


def _socket(hosts: Hosts, name: str) -> socket.socket:
    """A socket belongs to the host that its process was on when it was made."""
    hosts.enter(name)
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((hosts.address(name), _PORT))
    made.settimeout(_SECONDS)
    return made


def _say(hosts: Hosts, ends: list[socket.socket]) -> None:
    """Print `both` where a question and its answer arrive, `lost` where one does not."""
    one, other = ends
    one.sendto(b"question", (hosts.address("other"), _PORT))
    try:
        other.recv(100)
        other.sendto(b"answer", (hosts.address("one"), _PORT))
        one.recv(100)
        sys.stdout.write("both\n")
    except TimeoutError:
        sys.stdout.write("lost\n")


if __name__ == "__main__":
    sys.exit(main())
