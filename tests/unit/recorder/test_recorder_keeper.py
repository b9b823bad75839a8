"""Keeping facts: once each, in order, under the keys of their projects."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from casemate.journal.errors import JournalDamagedError, JournalWriteError
from casemate.journal.writer import Writer
from casemate.model.facts import OperationPerformed, SignedIn
from casemate.operations.form import form_of
from casemate.operations.vault import RotateKeys
from casemate.recorder.errors import RecorderInputError
from casemate.recorder.keeper import KEYS, Keeper, KeyRing
from casemate.recorder.noted import Noted
from casemate.recorder.protocol import Query, Take, Told
from casemate.recorder.sealing import opening
from casemate.recorder.search import Search
from casemate.vault.interface import DataKey
from support.journal import KEY

T = TypeVar("T")
SESSION, OTHER = bytes(8), b"\1" * 8


class Vault:
    """Keys by project and version."""

    def __init__(self) -> None:
        self.newest = 1
        self.erased: set[str] = set()

    async def key(self, project: str, version: int | None) -> DataKey:
        number = version or self.newest
        mark = "again" if project in self.erased else ""
        return DataKey(version=number, key=f"{project}{number}{mark}".encode().ljust(32, b"."))


OPEN: list[Writer] = []


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """Close all that a test has opened."""
    yield
    while OPEN:
        OPEN.pop().close()


class World:
    def __init__(self, folder: Path, vault: Vault | None = None) -> None:
        self.folder = folder
        self.vault = vault or Vault()
        self.writer = Writer(folder, KEY)
        OPEN.append(self.writer)
        self.keys = KeyRing(folder, self.vault.key)
        self.run(self.keys.load())
        self.keeper = Keeper(self.writer, self.keys, Noted((), self.writer.size))
        self.keeper.remember(self.writer.newest())

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(what)

    def keep(self, *batches: Take) -> None:
        self.run(self.keeper.keep(batches))

    def found(self, project: str | None = None, **asked: Any) -> list[str]:
        search = Search(self.folder, self.writer, self.keys)
        result = self.run(search.find(Query(project=project, **asked)))
        return [
            (msgspec.json.decode(each.event) or {"actor": {"user": {"name": None}}})["actor"][
                "user"
            ]["name"]
            for each in result.entries
        ]


def told(by: str, project: str = "", at: float = 1.0) -> Told:
    fact = SignedIn(at=at, by=by, project=project, method="password")
    return Told("SignedIn", msgspec.msgpack.encode(fact))


def take(first: int, *facts: Told, session: bytes = SESSION) -> Take:
    return Take(1, session, first, facts)


def test_facts_are_kept_in_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keep(take(0, told("a"), told("b")), take(2, told("c")))
    assert world.found() == ["c", "b", "a"]
    assert world.writer.size == 3


def test_what_is_sent_again_is_kept_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keep(take(0, told("a"), told("b")))
    world.keep(take(0, told("a"), told("b"), told("c")), take(0, told("a"), session=OTHER))
    assert world.found() == ["a", "c", "b", "a"]


def test_also_after_a_kill(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keep(take(0, *(told(str(n)) for n in range(400))))
    world.writer.close()
    again = World(tmp_path)
    again.keep(take(0, *(told(str(n)) for n in range(401))))
    assert again.writer.size == 401
    assert again.found(most=1) == ["400"]


def test_projects_are_sealed_apart(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keep(take(0, told("a", "shop"), told("b", "mail"), told("c")))
    assert world.found("shop") == ["a"]
    assert world.found("") == ["c"]
    data = (tmp_path / "pending").read_bytes() + (tmp_path / KEYS).read_bytes()
    assert b"shop" not in data
    assert b"SignedIn" not in data


def test_an_erased_key_erases_what_was_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keep(take(0, told("a", "shop"), told("b")))
    world.writer.close()
    world.vault.erased.add("shop")
    again = World(tmp_path, world.vault)
    assert again.found() == ["b", None]
    assert again.found("shop") == []
    again.keep(take(2, told("c", "shop")))
    assert again.found("shop") == ["c"]


def test_old_keys_open_what_they_sealed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keep(take(0, told("a", "shop")))
    world.vault.newest = 2
    world.keys.forget_newest()
    world.keep(take(1, told("b", "shop")))
    world.writer.close()
    again = World(tmp_path, world.vault)
    assert again.found("shop") == ["b", "a"]


def test_a_rotation_reaches_the_entries_from_its_own_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keep(take(0, told("a", "shop")))
    world.vault.newest = 2
    world.keep(take(1, told("b", "shop")))
    rotated = OperationPerformed(at=1.0, operation=form_of(RotateKeys).id, effect="change")
    world.keep(take(2, Told("OperationPerformed", msgspec.msgpack.encode(rotated))))
    world.keep(take(3, told("c", "shop")))
    entries = world.writer.newest()
    ids = [clear.key_id for each in entries if (clear := opening(each)) is not None]
    assert ids[0] == ids[1] != ids[3]
    assert world.found("shop") == ["c", "b", "a"]


def test_searches_are_bounded_and_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.keep(take(0, *(told(str(n), at=float(n)) for n in range(500))))
    world.keep(take(500, *(told(str(n), at=float(n)) for n in range(500, 700))))
    assert world.found(since=10.0, until=12.0) == ["12", "11", "10"]
    assert world.found(contains=('"name":"699"',)) == ["699"]
    assert world.found(before=3) == ["2", "1", "0"]
    assert world.found(before=10_000, most=1) == ["699"]
    monkeypatch.setattr("casemate.recorder.search.MAX_LOOKED_AT", 100)
    search = Search(tmp_path, world.writer, world.keys)
    wanted = Query(contains=('"name":"650"',), most=10)
    found = world.run(search.find(wanted))
    assert [each.index for each in found.entries] == [650]
    assert found.before == 600


def test_words_are_searched_for_in_values_and_not_in_the_names_of_fields(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keep(take(0, told("ada"), told("bob"), told('quo"ted \u2028 ü')))
    assert world.found(contains=("metadata",)) == world.found(contains=("event_code",)) == []
    assert world.found(contains=("ada",)) == ["ada"]
    assert world.found(contains=('quo\\"ted',)) == world.found(contains=("ü",)) != []
    assert world.found(contains=('"name":"bob"', "bob")) == ["bob"]


def test_what_is_no_fact_is_refused_and_nothing_of_its_batch_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(RecorderInputError):
        world.keep(take(0, told("a"), Told("SignedIn", b"\xc1")))
    assert world.writer.size == 0


def test_what_cannot_be_kept_can_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)

    def full(_: object) -> int:
        raise JournalWriteError("full")

    with monkeypatch.context() as patch:
        patch.setattr(world.writer, "append", full)
        with pytest.raises(JournalWriteError):
            world.keep(take(0, told("a")))
    world.keep(take(0, told("a")))
    assert world.found() == ["a"]


def test_a_damaged_file_of_keys_is_told(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keep(take(0, told("a", "shop")))
    world.writer.close()
    data = bytearray((tmp_path / KEYS).read_bytes())
    data[-1] ^= 1
    (tmp_path / KEYS).write_bytes(data)
    with pytest.raises(JournalDamagedError, match="keys"):
        World(tmp_path)


@pytest.mark.parametrize("first", [0, 1, 255, 256, 257, 590, 600, 700])
def test_nothing_before_the_first_that_is_wanted_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """Who followed a seldom kind had 50,000 entries opened each second."""
    world = World(tmp_path)
    for start in range(0, 600, 100):
        world.keep(take(start, *(told(str(n), at=float(n + 1)) for n in range(start, start + 100))))
    opened: list[int] = []
    matching = Search._matching

    async def counted(self: Search, wanted: Query, texts: Any, index: int, entry: bytes) -> Any:
        opened.append(index)
        return await matching(self, wanted, texts, index, entry)

    monkeypatch.setattr(Search, "_matching", counted)
    everything = range(599, first - 1, -1)
    assert world.found(first=first) == [str(n) for n in everything]
    assert world.found(first=first, contains=("no such thing",)) == []
    assert opened == [*everything, *everything]
    if first < 590:
        search = Search(world.folder, world.writer, world.keys)
        page = world.run(search.find(Query(first=first, before=first + 3, most=2)))
        assert [each.index for each in page.entries] == [first + 2, first + 1]
        assert page.before == first + 1
        page = world.run(search.find(Query(first=first, before=first + 1, most=2)))
        assert [each.index for each in page.entries] == [first] and page.before is None
