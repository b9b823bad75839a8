"""Objects, tables and queues against plain dictionaries, in any order of calls and restarts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from data_support import Clock, Data, FrozenClock
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from casemate.data import Lease, LimitError, Range
from casemate.model.errors import ConflictError, NotFoundError

KEYS = st.sampled_from(["a", "a/", "a/b", "a/b/c", "b", "B", "\u00e9", "e\u0301", "\U0001f600"])
NUMBERS = st.sampled_from([0, 1, 2, 3, 2.5, -1])
SORTS = st.one_of(NUMBERS, st.sampled_from(["", "x", "xy", "y"]))
CONDITION = st.sampled_from([None, None, "right", "wrong"])
SETTINGS = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def place(value: object) -> tuple[bool, object]:
    """The order of keys: numbers before text."""
    return (isinstance(value, str), value)


def condition(kind: str | None, present: int) -> int | None:
    if kind is None:
        return None
    return present if kind == "right" else present + 1


class Machine(RuleBasedStateMachine):
    make: Callable[[Path], Data] = Data

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="casemate-data-"))
        self.clock = Clock()
        self.patches = [FrozenClock(self.clock)]
        for patched in self.patches:
            patched.start()
        self.data = self.make(self.folder / "d")

    def teardown(self) -> None:
        self.data.finish()
        for patched in self.patches:
            patched.stop()
        shutil.rmtree(self.folder)

    @rule()
    def reopen(self) -> None:
        self.data.reopen()

    @rule()
    def sweep(self) -> None:
        self.data.resources("p")
        self.data.sweep()

    @rule()
    def rekey(self) -> None:
        self.data.vault.newest += 1
        self.data.rekey("p")


class ObjectMachine(Machine):
    """The bucket `kept`, which keeps three revisions, and `small`, which is soon full."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, list[tuple[int, bytes]]] = {}
        self.used: dict[str, int] = {}
        self.small: dict[str, int] = {}

    @rule(
        key=KEYS,
        size=st.sampled_from([0, 5, 40_000]),
        byte=st.binary(min_size=1, max_size=1),
        kind=CONDITION,
    )
    def put(self, key: str, size: int, byte: bytes, kind: str | None) -> None:
        revisions = self.model.get(key, [])
        present = revisions[-1][0] if revisions else 0
        call = ("p", "kept", key, byte * size)
        if kind == "wrong":
            with pytest.raises(ConflictError):
                self.data.put_object(*call, if_revision=present + 1)
            return
        info = self.data.put_object(*call, if_revision=condition(kind, present))
        assert info.revision > self.used.get(key, 0)
        self.used[key] = info.revision
        self.model[key] = [*revisions, (info.revision, byte * size)][-3:]

    @rule(key=KEYS, kind=CONDITION)
    def delete(self, key: str, kind: str | None) -> None:
        revisions = self.model.get(key, [])
        present = revisions[-1][0] if revisions else 0
        if kind == "wrong":
            with pytest.raises(ConflictError):
                self.data.delete_object("p", "kept", key, if_revision=present + 1)
            return
        self.data.delete_object("p", "kept", key, if_revision=condition(kind, present))
        self.model.pop(key, None)

    @rule(key=KEYS)
    def get_recent(self, key: str) -> None:
        found = self.data.port.get_recent_object("p", "kept", key)
        if found is not None:
            assert (found[0].revision, found[1]) == self.model[key][-1]

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        if key not in self.model:
            assert self.data.port.get_recent_object("p", "kept", key) is None
            with pytest.raises(NotFoundError):
                self.data.get_object("p", "kept", key)
            return
        for revision, content in self.model[key]:
            assert self.data.get_object("p", "kept", key, revision=revision)[1] == content
        info, content = self.data.get_object("p", "kept", key)
        assert (info.revision, content) == self.model[key][-1]

    @rule(key=KEYS, size=st.integers(0, 101))
    def put_small(self, key: str, size: int) -> None:
        total = sum(self.small.values()) - self.small.get(key, 0) + size
        if size > 100 or total > 250:
            with pytest.raises(LimitError):
                self.data.put_object("p", "small", key, b"x" * size)
            return
        self.data.put_object("p", "small", key, b"x" * size)
        self.small[key] = size

    @rule(key=KEYS)
    def delete_small(self, key: str) -> None:
        self.data.delete_object("p", "small", key)
        self.small.pop(key, None)

    @rule(
        prefix=st.sampled_from(["", "a", "a/", "a/b/", "z"]),
        delimiter=st.sampled_from([None, "/", "/b"]),
        limit=st.integers(1, 4),
    )
    def list_pages(self, prefix: str, delimiter: str | None, limit: int) -> None:
        expected: list[str] = []
        for key in sorted(self.model, key=str.encode):
            if not key.startswith(prefix):
                continue
            at = key.find(delimiter, len(prefix)) if delimiter else -1
            shown = key if at < 0 else "group:" + key[: at + len(delimiter or "")]
            if shown not in expected:
                expected.append(shown)
        found: list[str] = []
        after = None
        while True:
            page = self.data.list_objects(
                "p", "kept", prefix=prefix, delimiter=delimiter, limit=limit, after=after
            )
            size = len(page.objects) + len(page.prefixes)
            assert size <= limit
            names = [(info.key, info.key) for info in page.objects]
            names += [(group, "group:" + group) for group in page.prefixes]
            found += [shown for _, shown in sorted(names, key=lambda pair: pair[0].encode())]
            after = page.after
            if after is None:
                break
            assert size == limit
        assert found == expected

    @invariant()
    def files_are_those_of_objects(self) -> None:
        large = sum(1 for kept in self.model.values() for _, c in kept if len(c) > 32 * 1024)
        folder = self.folder / "d" / "objects" / "p"
        assert len(list(folder.iterdir())) == large


class TableMachine(Machine):
    """The table `sorted`, with two indexes and a TTL."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[tuple[object, object], tuple[dict[str, object], int]] = {}
        self.used: dict[tuple[object, object], int] = {}

    def live(self) -> dict[tuple[object, object], tuple[dict[str, object], int]]:
        return {
            key: (value, revision)
            for key, (value, revision) in self.model.items()
            if not isinstance(value.get("until"), float) or value["until"] > self.clock.now
        }

    @rule(
        key=st.sampled_from(["a", "b", 1]),
        at=SORTS,
        colour=st.sampled_from([None, "red", "blue", 7, True]),
        size=SORTS,
        ttl=st.sampled_from([None, 5.0, "text"]),
        kind=CONDITION,
    )
    def put(self, key, at, colour, size, ttl, kind) -> None:
        value = {"id": key, "at": at, "colour": colour, "size": size}
        if ttl is not None:
            value["until"] = ttl if isinstance(ttl, str) else self.clock.now + ttl
        present = self.live().get((key, at), (None, 0))[1]
        if kind == "wrong":
            with pytest.raises(ConflictError):
                self.data.put_item("p", "sorted", value, if_revision=present + 1)
            return
        item = self.data.put_item("p", "sorted", value, if_revision=condition(kind, present))
        assert item.revision > self.used.get((key, at), 0)
        self.used[key, at] = item.revision
        self.model[key, at] = (value, item.revision)

    @rule(key=st.sampled_from(["a", "b", 1]), at=SORTS)
    def delete(self, key, at) -> None:
        self.data.delete_item("p", "sorted", key, at)
        self.model.pop((key, at), None)

    @rule(key=st.sampled_from(["a", "b", 1]), at=SORTS)
    def get(self, key, at) -> None:
        expected = self.live().get((key, at))
        if expected is None:
            with pytest.raises(NotFoundError):
                self.data.get_item("p", "sorted", key, at)
        else:
            item = self.data.get_item("p", "sorted", key, at)
            assert (item.value, item.revision) == expected

    @rule(seconds=st.sampled_from([1.0, 5.0]))
    def wait(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    @rule(
        index=st.sampled_from([None, "by-colour", "by-colour-size"]),
        key=st.sampled_from([None, "a", "b", 1, "red", 7]),
        low=st.one_of(st.none(), SORTS),
        high=st.one_of(st.none(), SORTS),
        limit=st.integers(1, 3),
        descending=st.booleans(),
    )
    def query(self, index, key, low, high, limit, descending) -> None:
        has_sort = index != "by-colour"
        bounded = key is not None and has_sort and (low is not None or high is not None)
        sort = Range(at_least=low, less_than=high) if bounded else None
        rows = []
        for (item_key, item_sort), (value, _) in self.live().items():
            first, second = item_key, item_sort
            if index is not None:
                first, second = value["colour"], value["size"] if has_sort else ""
                if first is None or isinstance(first, bool):
                    continue
            if key is not None and first != key:
                continue
            if bounded and low is not None and place(second) < place(low):
                continue
            if bounded and high is not None and place(second) >= place(high):
                continue
            order = tuple(map(place, (first, second, item_key, item_sort)))
            rows.append((order, value))
        expected = [value for _, value in sorted(rows, key=lambda row: row[0], reverse=descending)]
        found: list[object] = []
        after = None
        while True:
            page = self.data.query_items(
                "p",
                "sorted",
                key=key,
                index=index,
                sort=sort,
                limit=limit,
                descending=descending,
                after=after,
            )
            found += [item.value for item in page.items]
            after = page.after
            if after is None:
                break
        assert found == expected


class QueueMachine(Machine):
    """The queue `jobs`, which keeps messages for 1000 s."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[str, list[float]] = {}
        """By id in the order of sending: sent at, visible at, attempts."""
        self.tokens: dict[str, tuple[str, float]] = {}

    def kept(self) -> dict[str, list[float]]:
        return {i: m for i, m in self.model.items() if m[0] > self.clock.now - 1000}

    @rule(delay=st.sampled_from([0, 0, 10]), token=st.sampled_from([None, None, "x", "y"]))
    def send(self, delay: float, token: str | None) -> None:
        identity = self.data.send("p", "queue", "jobs", b"1", delay=delay, deduplication=token)
        first = self.tokens.get(token or "")
        if first is not None and first[1] > self.clock.now - 3600:
            assert identity == first[0]
            return
        assert identity not in self.model
        self.model[identity] = [self.clock.now, self.clock.now + delay, 0]
        if token is not None:
            self.tokens[token] = (identity, self.clock.now)

    @rule(limit=st.integers(1, 4), lease=st.sampled_from([0, 10, 60]))
    def receive(self, limit: int, lease: float) -> None:
        ready = [i for i, m in self.kept().items() if m[1] <= self.clock.now][:limit]
        found = self.data.receive("p", "queue", "jobs", limit=limit, lease=lease)
        assert [message.id for message in found] == ready
        for message in found:
            entry = self.model[message.id]
            entry[1], entry[2] = self.clock.now + lease, entry[2] + 1
            assert message.attempts == entry[2]

    @precondition(lambda self: self.model)
    @rule(number=st.integers(0, 50))
    def acknowledge(self, number: int) -> None:
        identity = list(self.model)[number % len(self.model)]
        if identity in self.kept():
            lease = Lease(identity, int(self.model[identity][2]))
            assert self.data.acknowledge("p", "queue", "jobs", [lease, lease]) == 1
            del self.model[identity]

    @rule(seconds=st.sampled_from([10, 60, 500, 3601]))
    def wait(self, seconds: float) -> None:
        self.clock.pass_(seconds)

    @rule()
    def purge(self) -> None:
        self.data.purge("p", "queue", "jobs")
        self.model.clear()

    @invariant()
    def counts(self) -> None:
        info = self.data.queue_info("p", "queue", "jobs")
        kept = self.kept()
        assert info.waiting == len(kept)
        assert info.oldest_at == min((m[0] for m in kept.values()), default=None)


TestObjects = ObjectMachine.TestCase
TestTables = TableMachine.TestCase
TestQueues = QueueMachine.TestCase
for case in (TestObjects, TestTables, TestQueues):
    case.settings = SETTINGS
del case
