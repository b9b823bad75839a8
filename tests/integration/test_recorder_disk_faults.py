"""The disk of a recorder fails: what was acknowledged is kept once in both of its places.

CASEMATE_STORM_ROUNDS is how many rounds each seed of the long form has (200);
CASEMATE_STORM_SEED is the first of its ten seeds (0), so that runs add up.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.faults import DiskFaults, Operation
from support.faults.child import Answer, Child
from support.faults.disk import SHORT

ROUNDS = int(os.environ.get("CASEMATE_STORM_ROUNDS", "200"))
FIRST_SEED = int(os.environ.get("CASEMATE_STORM_SEED", "0"))
JOURNAL, RECORDS = "node/journal", "node/records"
KINDS = ("fact", "record")
FULL = (errno.ENOSPC, errno.EDQUOT)


class Gateway:
    """Tells a recorder's two places what happens, and again what was not acknowledged."""

    def __init__(self, folder: Path) -> None:
        self.faults = DiskFaults(folder)
        self._folder = folder / "node"
        self.acknowledged = self.told = 0
        self._kinds: list[str] = []
        self.child: Child | None = None

    def begin(self) -> Answer:
        """Start it anew, after a kill."""
        self.end()
        environment = self.faults.environment
        self.child = Child(self._folder, environment, "support.faults.keeping")
        opened = self.child.opened
        if not opened.ok:
            assert opened[0] == "error", "it ended without a word"
            self.end()
        return opened

    def end(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child = None

    def tell(self, kinds: Sequence[str] = ()) -> Answer | None:
        """Tell this, after all that was not acknowledged; None where nobody is there."""
        self._kinds += kinds
        self.told += len(kinds)
        if self.child is None:
            return None
        answer = self.child.take(self.acknowledged, self._kinds[self.acknowledged :])
        assert answer[0] != "ended", "it died of what it should have told"
        if answer.ok:
            self.acknowledged = self.told
        return answer

    def sign(self) -> Answer | None:
        if self.child is None:
            return None
        answer = self.child.sign()
        assert answer[0] != "ended", "it died of what it should have told"
        return answer

    def require_all_once(self) -> None:
        """Everything that was told is kept, once each and in order, once the disk works."""
        for rule in range(3):
            self.faults.end(rule)
        opened = self.begin()
        assert opened.ok, opened
        answer = self.tell(KINDS)
        assert answer is not None and answer.ok, answer
        assert self.child is not None
        facts, records = self.child.kept()[1]
        numbers = {kind: [str(n) for n, k in enumerate(self._kinds) if k == kind] for kind in KINDS}
        assert facts == numbers["fact"]
        assert records == numbers["record"]
        assert self.child.findings()[1] == []


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path)
    yield made
    made.end()


def each_call_fails(gateway: Gateway, place: str, operation: Operation, error: int) -> int:
    """Have the n-th call of a few messages fail, for each n there is; return how many failed."""
    number = hits = 0
    while not number or hits:
        number += 1
        assert gateway.child is not None or gateway.begin().ok
        gateway.faults.begin(place, operation, error=error, every=number, most=1)
        for _ in range(2):
            answer = gateway.tell(KINDS)
            if answer is not None and not answer.ok and error not in FULL:
                gateway.begin()
            gateway.sign()
        hits = gateway.faults.end()
    return number - 1


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(errno.EIO, id="failing", marks=pytest.mark.storm),
        pytest.param(errno.ENOSPC, id="full"),
        pytest.param(SHORT, id="short", marks=pytest.mark.storm),
    ],
)
def test_each_write_of_the_journal_fails_once(gateway: Gateway, error: int) -> None:
    assert gateway.begin().ok
    assert each_call_fails(gateway, JOURNAL, Operation.WRITE, error) > 5
    gateway.require_all_once()


@pytest.mark.storm
@pytest.mark.timeout(600)
def test_each_sync_and_name_of_the_journal_fails_once(gateway: Gateway) -> None:
    assert gateway.begin().ok
    for operation in (Operation.SYNC, Operation.OPEN, Operation.NAME, Operation.TRUNCATE):
        each_call_fails(gateway, JOURNAL, operation, errno.EIO)
    gateway.require_all_once()


def test_a_full_disk_is_told_and_the_same_recorder_goes_on(gateway: Gateway) -> None:
    assert gateway.begin().ok
    for place in (JOURNAL, RECORDS):
        gateway.faults.begin(place, Operation.WRITE, error=errno.ENOSPC)
        answer = gateway.tell(KINDS)
        assert answer is not None and not answer.ok and answer[2], answer
        assert "space" in answer[3].lower() or "full" in answer[3].lower(), answer
        gateway.faults.end()
        again = gateway.tell()
        assert again is not None and again.ok, again
    gateway.require_all_once()


def _round(gateway: Gateway, chosen: random.Random) -> None:
    for rule in range(chosen.randint(1, 3)):
        place = chosen.choice([JOURNAL, JOURNAL, RECORDS, "journal/pending", "records.db-wal"])
        most = 63 if place in (JOURNAL, "journal/pending") else 23
        operations = Operation(chosen.randint(1, most)) & ~Operation.OPEN
        error = chosen.choice([errno.EIO, errno.EIO, *FULL, SHORT])
        if error not in (errno.EIO,):
            operations = Operation.WRITE  # no kernel says so of any other
        every = chosen.choice([1, 2, 3, 5, 11, 29])
        gateway.faults.begin(place, operations, error=error, every=every, rule=rule)
    for _ in range(chosen.randint(2, 10)):
        answer = gateway.tell(chosen.choices(KINDS, k=chosen.choice([1, 2, 7, 60])))
        if chosen.random() < 0.4:
            gateway.sign()
        refused = answer is not None and not answer.ok
        if gateway.child is None or chosen.random() < (0.7 if refused else 0.1):
            gateway.begin()


def random_faults(gateway: Gateway, seed: int, rounds: int) -> None:
    chosen = random.Random(seed)
    assert gateway.begin().ok
    for number in range(rounds):
        _round(gateway, chosen)
        if number % 10 == 9 or number == rounds - 1:
            gateway.require_all_once()


@pytest.mark.storm
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + 10))
def test_faults_of_any_kind_at_any_time_lose_no_fact_and_no_record(
    gateway: Gateway, seed: int
) -> None:
    random_faults(gateway, seed, ROUNDS)
