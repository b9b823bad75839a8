"""Queues and inboxes against a plain list of messages, whatever the order of calls and times."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from data_support import Clock, Data, FrozenClock
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from casemate.data import (
    Fate,
    InvocationState,
    Lease,
    LimitError,
    NewMessage,
    Settlement,
    Subscription,
    messages,
)
from casemate.model.errors import NotFoundError
from casemate.model.trigger import QueueTrigger

MOST = 9
LEASE = (0.0, 10.0, 600.0)
KEEP_RESULTS = 24 * 3600.0


class Entry:
    """One message of the model."""

    def __init__(self, identity: str, new: NewMessage, now: float) -> None:
        self.id, self.new, self.sent_at = identity, new, now
        self.due = now + new.delay
        self.attempts = 0
        self.fence = 0
        self.leased = False


class Letter:
    """One dead letter of the model."""

    def __init__(self, entry: Entry, reason: str, now: float) -> None:
        self.entry, self.reason, self.died_at = entry, reason, now


class QueueMachine(RuleBasedStateMachine):
    """The queue `jobs`, which a function consumes."""

    kind, name, retention = "queue", "jobs", 1000.0
    make: Callable[[Path], Data] = Data

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="casemate-data-"))
        self.clock = Clock()
        self.patches = [FrozenClock(self.clock), patch.object(messages, "MAX_MESSAGES", MOST)]
        for patched in self.patches:
            patched.start()
        self.data = self.make(self.folder / "d")
        self.data.subscribe(
            "p", [Subscription(function="f", trigger=QueueTrigger(name="q", queue="jobs"))]
        )
        self.waiting: list[Entry] = []
        self.letters: list[Letter] = []
        self.tokens: dict[str, tuple[str, float]] = {}
        self.leases: list[tuple[Lease, int]] = []
        """All there ever were, with the number of the attempt."""
        self.ended: dict[str, tuple[InvocationState, float]] = {}
        self.number = 0

    def teardown(self) -> None:
        self.data.finish()
        for patched in self.patches:
            patched.stop()
        shutil.rmtree(self.folder)

    # The model

    @property
    def now(self) -> float:
        return self.clock.now

    def heads(self) -> list[Entry]:
        """What is not held back by an older message of its key."""
        seen: set[str] = set()
        found = []
        for entry in self.waiting:
            if entry.new.key not in seen:
                found.append(entry)
            if entry.new.key:
                seen.add(entry.new.key)
        return found

    def bury(self, entry: Entry, reason: str) -> None:
        self.waiting.remove(entry)
        self.letters.append(Letter(entry, reason, self.now))
        self.end(entry, InvocationState.FAILED)

    def end(self, entry: Entry, state: InvocationState) -> None:
        if entry.new.invocation:
            self.ended[entry.new.invocation] = (state, self.now)

    def retire(self) -> None:
        old = [e for e in self.waiting if e.sent_at <= self.now - self.retention]
        for entry in old:
            if not (entry.leased and entry.due > self.now):
                self.bury(entry, "retention")

    # What is done

    @rule(
        keys=st.lists(st.sampled_from(["", "a", "a", "b"]), min_size=1, max_size=3),
        priority=st.sampled_from([-1, 0, 0, 5]),
        delay=st.sampled_from([0.0, 0.0, 10.0]),
        token=st.sampled_from([None, None, "x", "y"]),
    )
    def send(self, keys: list[str], priority: int, delay: float, token: str | None) -> None:
        new = []
        for index, key in enumerate(keys):
            self.number += 1
            message = NewMessage(
                body=b'{"n":%d}' % self.number,
                key=key,
                priority=priority,
                delay=delay,
                deduplication=token if index == 0 else None,
                invocation=f"i{self.number}" if self.kind == "inbox" else "",
            )
            new.append(message)
        first = self.tokens.get(token or "")
        counts = 25 * 3600 if self.kind == "inbox" else 3600
        known = first is not None and first[1] > self.now - counts
        added = len(new) - known
        if added and len(self.waiting) + len(self.letters) + added > MOST:
            with pytest.raises(LimitError):
                self.data.send_many("p", self.kind, self.name, new)
            return
        ids = self.data.send_many("p", self.kind, self.name, new)
        if known:
            assert first is not None and ids[0] == first[0]
        elif token is not None:
            self.tokens[token] = (ids[0], self.now)
        pairs = list(zip(ids, new, strict=True))[known:]
        self.waiting += [Entry(identity, message, self.now) for identity, message in pairs]

    @rule(limit=st.integers(1, 4), seconds=st.sampled_from(LEASE))
    def lease(self, limit: int, seconds: float) -> None:
        self.retire()
        for entry in self.waiting:
            entry.leased = entry.leased and entry.due > self.now
        ready = [
            entry
            for entry in self.heads()
            if entry.due <= self.now and entry.sent_at > self.now - self.retention
        ]
        ready.sort(key=lambda entry: -entry.new.priority)
        found = self.data.lease("p", self.kind, self.name, limit=limit, lease=seconds)
        assert [message.id for message in found] == [entry.id for entry in ready[:limit]]
        for message, entry in zip(found, ready, strict=False):
            entry.attempts += 1
            entry.fence += 1
            assert message.lease == Lease(entry.id, entry.fence)
            entry.due, entry.leased = self.now + seconds, True
            assert (message.body, message.key, message.attempts) == (
                entry.new.body,
                entry.new.key,
                entry.attempts,
            )
            assert message.priority == entry.new.priority
            self.leases.append((message.lease, message.attempts))

    @precondition(lambda self: self.leases)
    @rule(
        which=st.lists(st.integers(0, 50), min_size=1, max_size=3),
        fate=st.sampled_from(list(Fate)),
        wait=st.sampled_from([0.0, 20.0]),
        counted=st.booleans(),
    )
    def settle(self, which: list[int], fate: Fate, wait: float, counted: bool) -> None:
        """Ends leases, also those that are over, lost, or settled before."""
        chosen = [self.leases[number % len(self.leases)] for number in which]
        expected = 0
        for lease, attempt in chosen:
            entry = self.held(lease)
            if entry is None or entry.attempts != attempt:
                continue
            expected += 1
            if fate is Fate.RETRY:
                entry.leased, entry.due = False, self.now + wait
                entry.attempts -= not counted
            elif fate is Fate.DONE:
                self.waiting.remove(entry)
                self.end(entry, InvocationState.SUCCEEDED)
            else:
                self.bury(entry, "tired")
        settlements = [
            Settlement(
                id=lease.id,
                fence=lease.fence,
                attempt=attempt,
                fate=fate,
                counted=counted,
                again_at=self.now + wait,
                reason="tired" if fate is Fate.DEAD else "",
            )
            for lease, attempt in chosen
        ]
        assert self.data.settle("p", self.kind, self.name, settlements) == expected

    def held(self, lease: Lease) -> Entry | None:
        """Return what a lease is of, if it was neither lost, nor ended, nor taken again."""
        found = (e for e in self.waiting if (e.id, e.fence) == (lease.id, lease.fence))
        return next((entry for entry in found if entry.leased), None)

    @precondition(lambda self: self.leases)
    @rule(
        which=st.lists(st.integers(0, 50), min_size=1, max_size=3), seconds=st.sampled_from(LEASE)
    )
    def extend(self, which: list[int], seconds: float) -> None:
        """Ends leases later or earlier, but none that are over, lost, or settled before."""
        chosen = [self.leases[number % len(self.leases)][0] for number in which]
        expected = 0
        for lease in chosen:
            entry = self.held(lease)
            if entry is not None:
                expected += 1
                entry.due = self.now + seconds
        assert self.data.extend("p", self.kind, self.name, chosen, lease=seconds) == expected

    @precondition(lambda self: self.waiting and self.kind == "queue")
    @rule(number=st.integers(0, 50))
    def acknowledge(self, number: int) -> None:
        entry = self.waiting[number % len(self.waiting)]
        lease = Lease(entry.id, entry.fence)
        assert self.data.acknowledge("p", self.kind, self.name, [lease, lease]) == 1
        self.waiting.remove(entry)

    @precondition(lambda self: self.letters)
    @rule(number=st.one_of(st.none(), st.integers(0, 50)), redrive=st.booleans())
    def handle_letters(self, number: int | None, redrive: bool) -> None:
        chosen = list(self.letters)
        ids = None
        if number is not None:
            place = number % len(self.letters)
            chosen = [self.letters[place]]
            ids = [self.data.dead_letters("p", self.kind, self.name)[place].id]
        call = self.data.redrive if redrive else self.data.purge_dead
        assert call("p", self.kind, self.name, ids) == len(chosen)
        self.letters = [letter for letter in self.letters if letter not in chosen]
        if redrive:
            for letter in chosen:
                new = letter.entry.new
                self.ended.pop(new.invocation, None)
                plain = NewMessage(
                    body=new.body, key=new.key, priority=new.priority, invocation=new.invocation
                )
                # The id is a new one, in the order of the letters; `lease` compares the bodies.
                self.waiting.append(Entry("", plain, self.now))
            self.name_redriven()

    def name_redriven(self) -> None:
        """Learn the ids of what was sent again from the database."""
        stored = self.data.stored_messages()
        assert len(stored) == len(self.waiting)
        for entry, (number, body) in zip(self.waiting, stored, strict=True):
            assert entry.new.body == body
            assert entry.id in ("", f"{number:016x}")
            entry.id = f"{number:016x}"

    @rule()
    def purge(self) -> None:
        assert self.data.purge("p", self.kind, self.name) == len(self.waiting)
        for entry in self.waiting:
            self.end(entry, InvocationState.FAILED)
        self.waiting.clear()

    @rule()
    def resume(self) -> None:
        self.data.take_over()
        self.data.resume("p")
        for entry in self.waiting:
            if entry.leased:
                entry.leased, entry.due = False, self.now

    @rule()
    def sweep(self) -> None:
        self.data.resources("p")
        self.retire()
        self.letters = [x for x in self.letters if x.died_at > self.now - self.retention]
        self.data.sweep()

    @rule()
    def reopen(self) -> None:
        self.data.reopen()

    @rule(seconds=st.sampled_from([10.0, 60.0, 600.0, 3601.0]))
    def wait(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    # What always holds

    @invariant()
    def counts(self) -> None:
        info = self.data.queue_info("p", self.kind, self.name)
        kept = [e for e in self.waiting if e.sent_at > self.now - self.retention]
        assert (info.waiting, info.dead) == (len(kept), len(self.letters))
        assert info.oldest_at == min((e.sent_at for e in kept), default=None)

    @invariant()
    def due(self) -> None:
        found = self.data.next_due("p", self.kind, self.name)
        expected = min((max(self.now, e.due) for e in self.heads()), default=None)
        assert (None if found is None else max(self.now, found)) == expected

    @invariant()
    def dead(self) -> None:
        found = self.data.dead_letters("p", self.kind, self.name)
        told = [(x.reason, x.attempts, x.sent_at, x.died_at) for x in found]
        assert told == [
            (x.reason, x.entry.attempts, x.entry.sent_at, x.died_at) for x in self.letters
        ]


class InboxMachine(QueueMachine):
    """The inbox of a function, whose invocations can be asked for."""

    kind, name, retention = "inbox", "f", 14 * 86_400.0

    @rule(number=st.integers(0, 30))
    def status(self, number: int) -> None:
        invocation = f"i{number}"
        entry = next((e for e in self.waiting if e.new.invocation == invocation), None)
        state, finished_at = self.ended.get(invocation, (None, 0.0))
        expected: Any = None
        if state is not None and finished_at + KEEP_RESULTS > self.now:
            expected = (state, finished_at)
        elif entry is not None:
            running = InvocationState.RUNNING if entry.leased else InvocationState.QUEUED
            expected = (running, None)
        if expected is None:
            with pytest.raises(NotFoundError):
                self.data.invocation_status("p", invocation)
            return
        found = self.data.invocation_status("p", invocation)
        assert (found.state, found.finished_at) == expected
        if entry is not None:
            assert found.attempts == entry.attempts

    @rule(days=st.sampled_from([1, 14]))
    def wait_long(self, days: int) -> None:
        self.clock.pass_(days * 86_400.0)


TestQueueMachine = QueueMachine.TestCase
TestInboxMachine = InboxMachine.TestCase
for case in (TestQueueMachine, TestInboxMachine):
    case.settings = settings(
        max_examples=20,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
del case
