"""Hosts of our own: network namespaces on one bridge, and partitions between any two.

A partition is a wrong neighbour: the one host is told that the other has a hardware address
that nobody has. Packets leave and reach no one, and no error says so, in one direction or in
both, for connections that are open as well.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from counters_project.runner.processes import Program

_CLONE_NEWNET = 0x40000000
_NETWORK = "10.77.0"
NETWORK = f"{_NETWORK}.0/24"
# Locally administered, and of no host.
_NOBODY = "02:00:00:00:00:fe"


class NoHostsError(Exception):
    """This machine makes no network namespaces; the message says why."""


class Hosts:
    """Named hosts that reach each other until they are cut off."""

    def __init__(self, names: Sequence[str]) -> None:
        """Make them. Raises NoHostsError; then nothing is left of them."""
        self._ip = shutil.which("ip") or ""
        if not self._ip or os.geteuid() != 0:
            raise NoHostsError("it needs root, and `ip` of iproute2")
        self._numbers = {name: number + 1 for number, name in enumerate(names)}
        try:
            self._make()
        except subprocess.CalledProcessError as error:
            self.remove()
            raise NoHostsError(error.stderr.strip()) from error

    def address(self, name: str) -> str:
        return f"{_NETWORK}.{self._numbers[name]}"

    def placed(self, program: Program, name: str) -> Program:
        """Return the program, to be run on that host, as the account it would run as."""
        words = [self._ip, "netns", "exec", self._space(name)]
        account = program.account
        if account is not None:
            # Only root may enter a namespace, so the change of user comes after it.
            words += [str(shutil.which("setpriv")), f"--reuid={account.user_id}"]
            words += [f"--regid={account.group_id}", "--clear-groups"]
        return replace(program, argv=(*words, *program.argv), account=None)

    def enter(self, name: str) -> None:
        """Move this process to that host; what it starts is there as well."""
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = os.open(Path("/run/netns") / self._space(name), os.O_RDONLY)
        try:
            if libc.setns(descriptor, _CLONE_NEWNET) != 0:
                raise NoHostsError(os.strerror(ctypes.get_errno()))
        finally:
            os.close(descriptor)

    def cut(self, source: str, target: str) -> None:
        """Let nothing of `source` reach `target`; the other direction stays."""
        self._meet(source, target, _NOBODY)

    def join(self, source: str, target: str) -> None:
        self._meet(source, target, self._hardware(target))

    def remove(self) -> None:
        for name in [*self._numbers, "bridge"]:
            with suppress(subprocess.CalledProcessError):
                self._run("netns", "del", self._space(name))

    def _make(self) -> None:
        bridge = self._space("bridge")
        self._run("netns", "add", bridge)
        self._run("-n", bridge, "link", "add", "br0", "type", "bridge")
        self._run("-n", bridge, "link", "set", "br0", "up")
        for name, number in self._numbers.items():
            space, port = self._space(name), f"port{number}"
            self._run("netns", "add", space)
            link = ["type", "veth", "peer", "name", port, "netns", bridge]
            hardware = ["address", self._hardware(name)]
            self._run("-n", space, "link", "add", "eth0", *hardware, *link)
            self._run("-n", bridge, "link", "set", port, "master", "br0", "up")
            address = f"{self.address(name)}/24"
            self._run("-n", space, "addr", "add", address, "dev", "eth0")
            for device in ("lo", "eth0"):
                self._run("-n", space, "link", "set", device, "up")
        # From the first on all are known to each other, so a cut is one change.
        for name in self._numbers:
            for other in self._numbers.keys() - {name}:
                self.join(name, other)

    def _meet(self, source: str, target: str, hardware: str) -> None:
        words = ["neigh", "replace", self.address(target), "lladdr", hardware]
        words += ["nud", "permanent", "dev", "eth0"]
        self._run("-n", self._space(source), *words)

    def _hardware(self, name: str) -> str:
        return f"02:00:00:00:00:{self._numbers[name]:02x}"

    def _space(self, name: str) -> str:
        # Of this process: two runs at once do not meet.
        return f"counters-{os.getpid()}-{name.replace(' ', '-')}"

    def _run(self, *words: str) -> None:
        subprocess.run([self._ip, *words], check=True, capture_output=True, text=True)
