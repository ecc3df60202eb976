"""Show that a test fails for each of the most important guarantees once it is removed.

`make guarantees` copies the tree, and checks that the named tests pass. Then it takes one
guarantee away at a time, by a replacement of text in one file, and runs the named test. A test
that still passes does not protect its guarantee: the exit code is 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns

ROOT = Path(__file__).resolve().parent.parent
# pytest's exit code if a test failed; any other one says that no test was run to its end.
TESTS_FAILED = 1


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A guarantee, the code that gives it, and the test that fails without it."""

    # The row in the table of invariants in docs/design.md.
    invariant: int
    claim: str
    test: str
    # File, text and replacement. The text must be in the file exactly once.
    changes: tuple[tuple[str, str, str], ...]

    def remove(self, root: Path) -> None:
        for file, text, replacement in self.changes:
            content = (root / file).read_text()
            if content.count(text) != 1:
                raise ValueError(f"{file} must contain this text once: {text!r}")
            (root / file).write_text(content.replace(text, replacement))

    def restore(self, root: Path) -> None:
        for file, _, _ in self.changes:
            (root / file).write_text((ROOT / file).read_text())


GUARANTEES = [
    Guarantee(
        1,
        "an add writes its event and its last write in one statement",
        "test_add__appends_one_event_and_one_last_write",
        (
            (
                "counters/sql/add_event.sql",
                "  FROM event\n  ON CONFLICT (counter_id, slot)",
                "  FROM event WHERE false\n  ON CONFLICT (counter_id, slot)",
            ),
        ),
    ),
    Guarantee(
        2,
        "a fold takes the events of transactions that were open at the last fold",
        "test_fold__counts_a_transaction_that_commits_late",
        (
            (
                "rollups/sql/fold_events.sql",
                "FROM pg_snapshot_xip(folding.watermark) AS was_open (xid)",
                "FROM (SELECT '3'::xid8 WHERE false) AS was_open (xid)",
            ),
        ),
    ),
    Guarantee(
        2,
        "a fold locks the partitions before its statement is planned",
        "test_fold__counts_what_comes_into_a_partition_that_its_plan_does_not_know",
        (
            (
                "rollups/sql/lock_rollups.sql",
                "  AND NOT EXISTS (SELECT FROM ONLY counters_event, counters_event_default WHERE false)",
                "",
            ),
        ),
    ),
    Guarantee(
        2,
        "a fold runs under READ COMMITTED, whatever the default is",
        "test_fold__counts_events_that_moved_before_it_had_its_locks",
        (
            (
                "counters/db/transactions.py",
                "driver.isolation_level = IsolationLevel.READ_COMMITTED",
                "pass",
            ),
        ),
    ),
    Guarantee(
        3,
        "a token without a time counts once",
        "test_add__of_a_token_waits_for_its_first_use_to_end",
        (
            (
                "counters/sql/add_event_of_untimed_token.sql",
                "  WHERE counters_claim.expires_at < excluded.event_time\n",
                "",
            ),
        ),
    ),
    Guarantee(
        4,
        "two folds of one counter never overlap",
        "test_fold__skips_a_counter_that_another_fold_holds",
        (("rollups/sql/lock_rollups.sql", "FOR UPDATE SKIP LOCKED", ""),),
    ),
    Guarantee(
        5,
        "an add does not fail when its trigger does",
        "test_add__survives_a_receiver_that_fails",
        (
            (
                "counters/recording/record.py",
                "events_committed.send_robust(",
                "events_committed.send(",
            ),
            (
                "rollups/trigger/request.py",
                "except Exception as error:",
                "except KeyError as error:",
            ),
        ),
    ),
    Guarantee(
        6,
        "a last write stays until a watermark covers it",
        "test_fold__keeps_the_last_write_of_a_slot_that_was_written_again",
        (
            (
                "rollups/sql/remove_settled.sql",
                "    AND pg_visible_in_snapshot(last_write.xid, rollup.watermark)\n  FOR",
                "  FOR",
            ),
        ),
    ),
    Guarantee(
        6,
        "the sweep finds a counter that was never folded",
        "test_sweep__enqueues_what_no_trigger_reached",
        (("rollups/sql/select_pending.sql", "LEFT JOIN LATERAL (", "JOIN LATERAL ("),),
    ),
    Guarantee(
        7,
        "writers do not share a row",
        "test_add__does_not_wait_for_an_open_transaction",
        (
            (
                "counters/sql/add_event.sql",
                "SELECT counter_id, pg_backend_pid(),",
                "SELECT counter_id, 0,",
            ),
        ),
    ),
    Guarantee(
        10,
        "retention keeps events that are not folded",
        "test_close__keeps_what_is_not_folded",
        (
            (
                "rollups/sql/inspect_partition.sql",
                "count(*) FILTER (WHERE NOT held.is_folded)",
                "count(*) FILTER (WHERE false)",
            ),
        ),
    ),
    Guarantee(
        12,
        "another cluster's watermarks are refused",
        "test_restored__refuses_what_would_be_wrong_and_writes_on",
        (
            (
                "rollups/sql/lock_rollups.sql",
                "  AND (SELECT rollups_check_anchor())\n",
                "",
            ),
        ),
    ),
]


def places(test: str) -> list[str]:
    """Return where the tests of this name are, as `path::name`."""
    definition = re.compile(rf"^(?:async )?def {test}\(", re.MULTILINE)
    return [
        f"{path.relative_to(ROOT)}::{test}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if definition.search(path.read_text())
    ]


def run(root: Path, tests: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run these tests in a copy of the tree."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
        + [place for test in tests for place in places(test)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="guarantees that contain this text")
    only = parser.parse_args().only
    chosen = [one for one in GUARANTEES if only in one.claim]
    with tempfile.TemporaryDirectory(prefix="guarantees-") as folder:
        root = Path(folder) / "tree"
        ignored = ignore_patterns(".git", ".venv", ".local", "__pycache__", "_build")
        copytree(ROOT, root, ignore=ignored)
        before = run(root, [one.test for one in chosen])
        if before.returncode != 0:
            print(before.stdout, "\nThe tests must pass before anything is removed.")
            return 1
        unprotected = [one for one in chosen if not _fails_without(one, root)]
    print(f"{len(chosen) - len(unprotected)} of {len(chosen)} guarantees have a test.")
    return 1 if unprotected else 0


def _fails_without(guarantee: Guarantee, root: Path) -> bool:
    started = time.monotonic()
    guarantee.remove(root)
    try:
        ended = run(root, [guarantee.test])
    finally:
        guarantee.restore(root)
    failed = ended.returncode == TESTS_FAILED
    seconds = time.monotonic() - started
    print(
        f"{'fails' if failed else 'PASSES'}  {guarantee.test}\n"
        f"        without: {guarantee.claim} ({seconds:.0f} s)",
        flush=True,
    )
    if not failed:
        print(ended.stdout[-2000:], ended.stderr[-2000:])
    return failed


if __name__ == "__main__":
    sys.exit(main())
