"""Versions of playbooks: kept, signed by the vault, and no row that says otherwise is believed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from playbooks_world import ADA, World, finding

from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.playbook import Step
from casemate.playbooks.books import MAX_NAMES, Kept
from casemate.playbooks.errors import PlaybookError, TakenError, UnverifiedError
from casemate.playbooks.versions import (
    MAX_VERSIONS,
    MAX_VERSIONS_BYTES,
    Change,
    History,
    Ledger,
    Version,
)
from casemate.store.parts import Parts
from casemate.vault.errors import VaultUnavailableError
from support.core import MemoryStore
from support.memory_signer import MemorySigner

pytestmark = pytest.mark.anyio


def text(title: str = "t", rule: str = "mount-tried") -> str:
    return (
        f'title = "{title}"\napproval = "none"\n[when]\nrules = ["{rule}"]\n'
        '[[actions]]\ndo = "quarantine"\n'
    )


async def put(world: World, *titles: str, name: str = "mine") -> None:
    for title in titles:
        await world.playbooks.files.put(name, text(title), ADA)


async def again(world: World) -> World:
    """Return the node once it was started anew."""
    return await World(world.store).loaded()


def rows(store: MemoryStore, kind: str) -> dict[str, Any]:
    """Return what is kept of a kind, by value and in it."""
    return {
        name: json.loads(value) for name, value in store.values.items() if name.startswith(kind)
    }


def change_history(store: MemoryStore, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the rows of versions as who writes to the store beside the node would."""
    for name, value in rows(store, "playbook versions").items():
        for history in value:
            change(history)
        store.values[name] = json.dumps(value).encode()


def acted(world: World) -> list[str]:
    return [one.playbook for one in world.playbooks.runs if one.state is Step.DONE]


async def test_each_change_is_a_version_that_is_kept_signed_and_told() -> None:
    world = await World().loaded()
    await put(world, "one", "two")
    await world.playbooks.files.remove("mine", ADA)
    await put(world, "three")
    found = await world.playbooks.books.versions("mine")
    assert [(one.version, one.change, one.by, signed) for one, signed in found] == [
        (4, "put", "user:ada", True),
        (3, "remove", "user:ada", True),
        (2, "put", "user:ada", True),
        (1, "put", "user:ada", True),
    ]
    assert [(one.change, one.playbook_version) for one in world.changes] == [
        ("put", 1),
        ("put", 2),
        ("remove", 3),
        ("put", 4),
    ]
    assert world.playbooks.files.book("mine").version == 4
    await world.find(finding())
    assert {run.playbook: run.version for run in world.playbooks.runs}["mine"] == 4
    started = await again(world)
    assert started.playbooks.files.book("mine").version == 4 and not started.refused


async def test_a_former_version_comes_back_as_a_new_one() -> None:
    world = await World().loaded()
    await put(world, "one", "two")
    back = await world.playbooks.files.revert("mine", 1, ADA)
    assert (back.version, back.text) == (3, text("one"))
    assert world.changes[-1].change == "put" and world.changes[-1].reason == "as version 1 was"
    await world.playbooks.files.remove("mine", ADA)
    assert world.playbooks.books.get("mine") is None
    with pytest.raises(ConflictError, match="removed"):
        await world.playbooks.files.revert("mine", 4, ADA)
    assert (await world.playbooks.files.revert("mine", 2, ADA)).version == 5
    for name, number in (("mine", 9), ("none", 1)):
        with pytest.raises(NotFoundError):
            await world.playbooks.files.revert(name, number, ADA)
    with pytest.raises(NotFoundError):
        await world.playbooks.books.versions("escape-tried")


async def test_a_former_version_that_was_changed_does_not_come_back() -> None:
    world = await World().loaded()
    await put(world, "one", "two")
    change_history(world.store, lambda history: history["versions"][0].update(text=text("evil")))
    started = await again(world)
    assert not started.refused
    with pytest.raises(UnverifiedError, match="version 1"):
        await started.playbooks.files.revert("mine", 1, ADA)
    signed = [signed for _, signed in await started.playbooks.books.versions("mine")]
    assert signed == [True, False]


_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "text": lambda h: h["versions"][-1].update(text=text("evil")),
    "version": lambda h: h["versions"][-1].update(version=7),
    "change": lambda h: h["versions"][-1].update(change="remove"),
    "taken over": lambda h: h["versions"][-1].update(change="take-over"),
    "at": lambda h: h["versions"][-1].update(at=1.0),
    "by": lambda h: h["versions"][-1].update(by="user:eve"),
    "signature": lambda h: h["versions"][-1].update(signature="AAAA"),
    "no signature": lambda h: h["versions"][-1].pop("signature"),
    "rolled back": lambda h: h["versions"].pop(),
    "order": lambda h: h["versions"].reverse(),
    "emptied": lambda h: h.update(versions=[]),
}


@pytest.mark.parametrize("what", _CHANGES)
async def test_what_was_changed_beside_the_node_does_not_act_and_is_told(what: str) -> None:
    world = await World().loaded()
    await put(world, "one", "two")
    change_history(world.store, _CHANGES[what])
    started = await again(world)
    book = started.playbooks.files.book("mine")
    assert book.playbook is None and book.problem == book.unverified != ""
    [told] = [one for one in started.refused if one.problem == book.problem]
    assert told.playbook == "mine"
    await started.find(finding())
    assert "mine" not in [run.playbook for run in started.playbooks.runs]
    assert "escape-tried" in [run.playbook for run in started.playbooks.runs]
    with pytest.raises(UnverifiedError):
        started.playbooks.files.usable("mine")
    before = len(started.refused)
    await started.playbooks.load()
    assert len(started.refused) == before
    await put(started, "three")
    assert started.playbooks.files.book("mine").playbook is not None
    assert (await again(started)).playbooks.files.book("mine").text == text("three")


async def test_signatures_are_of_one_name_and_one_vault() -> None:
    world = await World().loaded()
    await put(world, "one")
    await put(world, "two", name="other")

    def swap(history: dict[str, Any]) -> None:
        history["name"] = {"mine": "other", "other": "mine"}[history["name"]]

    change_history(world.store, swap)
    started = await again(world)
    assert {one.playbook for one in started.refused} == {"mine", "other"}
    assert started.playbooks.files.book("mine").playbook is None

    world = await World().loaded()
    await put(world, "one")
    stranger = await World(world.store, signer=MemorySigner()).loaded()
    assert stranger.playbooks.files.book("mine").playbook is None and stranger.refused


@pytest.mark.parametrize("what", ["gone", "damaged", "older", "emptied"])
async def test_a_list_of_newest_versions_that_is_not_believed_stops_all_of_ones_own(
    what: str,
) -> None:
    world = await World().loaded()
    await put(world, "one")
    older = world.store.values["playbook ledger"]
    await put(world, "two")
    values = world.store.values
    if what == "gone":
        del values["playbook ledger"]
    elif what == "older":
        values["playbook ledger"] = older
    elif what == "damaged":
        values["playbook ledger"] = b"{}"
    else:
        ledger = json.loads(values["playbook ledger"])
        values["playbook ledger"] = json.dumps(ledger | {"newest": {}}).encode()
    node = world if what == "older" else await again(world)
    await node.playbooks.load()
    assert node.playbooks.files.book("mine").playbook is None
    assert [one.playbook for one in node.refused] == ["mine"]
    await put(node, "three")
    assert (await again(node)).playbooks.files.book("mine").text == text("three")


async def test_a_version_is_put_back_with_its_list_while_the_node_runs() -> None:
    world = await World().loaded()
    await put(world, "one")
    before = dict(world.store.values)
    await put(world, "two")
    world.store.values.clear()
    world.store.values.update(before)
    await world.playbooks.load()
    assert world.playbooks.files.book("mine").playbook is None and world.refused


async def test_a_version_that_was_written_and_not_listed_yet_is_in_force() -> None:
    world = await World().loaded()
    await put(world, "one")
    listed = world.store.values["playbook ledger"]
    await put(world, "two")
    world.store.values["playbook ledger"] = listed
    started = await again(world)
    assert started.playbooks.files.book("mine").text == text("two") and not started.refused


async def keep_unsigned(store: MemoryStore, name: str, content: str) -> None:
    parts = Parts(store, "playbooks", Kept, lambda one: one.name)  # type: ignore[arg-type]
    await parts.load()
    await parts.put(Kept(name=name, text=content, changed_at=5.0, changed_by="user:bob"))


async def test_what_was_there_before_versions_is_taken_over_once_and_told() -> None:
    store = MemoryStore()
    await keep_unsigned(store, "old", text("old"))
    world = await World(store).loaded()
    book = world.playbooks.files.book("old")
    assert (book.version, book.changed_at, book.changed_by) == (1, 5.0, "user:bob")
    assert [(one.playbook, one.change) for one in world.changes] == [("old", "take-over")]
    await world.find(finding())
    assert "old" in acted(world)
    await keep_unsigned(store, "late", text("evil"))
    started = await again(world)
    assert not started.changes
    assert started.playbooks.files.book("late").playbook is None
    assert [one.playbook for one in started.refused] == ["late"]
    await started.playbooks.files.remove("late", ADA)
    assert (await again(started)).playbooks.books.get("late") is None


async def test_taking_over_that_was_cut_short_is_finished() -> None:
    store = MemoryStore()
    await keep_unsigned(store, "a", text("a"))
    await World(store).loaded()
    del store.values["playbook ledger"]
    await keep_unsigned(store, "b", text("b"))
    world = await World(store).loaded()
    assert not world.refused
    assert [world.playbooks.files.book(name).version for name in "ab"] == [1, 1]


async def test_a_row_without_a_signature_says_nothing_beside_one_that_has_one() -> None:
    world = await World().loaded()
    await put(world, "one", "two")
    await keep_unsigned(world.store, "mine", text("evil"))
    await keep_unsigned(world.store, "escape-tried", text("evil"))
    started = await again(world)
    for name in ("mine", "escape-tried"):
        book = started.playbooks.files.book(name)
        assert book.playbook is not None and "evil" not in book.text and book.unverified
    assert started.playbooks.files.book("escape-tried").shipped
    assert {one.playbook for one in started.refused} == {"mine", "escape-tried"}
    await keep_unsigned(world.store, "mine", text("one"))  # as one that was cut short leaves it
    assert not (await again(world)).playbooks.files.book("mine").unverified


async def test_without_the_vault_none_of_ones_own_acts() -> None:
    world = await World(signer=MemorySigner()).loaded()
    await put(world, "one")
    world.signer.fails = VaultUnavailableError("The vault is away.", next_step="wait")
    with pytest.raises(VaultUnavailableError):
        await world.find(finding())
    assert [run.playbook for run in world.playbooks.runs] == ["escape-tried"]
    with pytest.raises(VaultUnavailableError):
        await put(world, "two")
    with pytest.raises(VaultUnavailableError):
        await world.playbooks.load()
    world.signer.fails = None
    await world.find(finding(function="other"))
    assert "mine" in acted(world)


async def test_what_the_vault_verifies_no_more_does_not_act() -> None:
    world = await World(signer=MemorySigner()).loaded()
    await put(world, "one")
    world.signer.__init__()  # type: ignore[misc] # another key: as of another vault
    await world.find(finding())
    assert [run.playbook for run in world.playbooks.runs] == ["escape-tried"]
    assert [one.playbook for one in world.refused] == ["mine"]


async def test_one_that_is_changed_while_it_is_to_act_is_no_forgery() -> None:
    world = await World().loaded()
    await put(world, "one")
    book = world.playbooks.files.book("mine")
    await put(world, "two")
    with pytest.raises(TakenError):
        await world.playbooks.books.require(book)
    assert not world.refused


async def test_a_list_that_went_while_the_node_runs_goes_on() -> None:
    world = await World().loaded()
    await put(world, "one")
    await put(world, "two", name="other")
    del world.store.values["playbook ledger"]
    await put(world, "three")
    started = await again(world)
    assert not started.refused and started.playbooks.files.book("other").text == text("two")


async def test_versions_and_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().loaded()
    await put(world, *map(str, range(MAX_VERSIONS + 3)))
    found = await world.playbooks.books.versions("mine")
    assert [one.version for one, _ in found] == [*range(MAX_VERSIONS + 3, 3, -1)]

    history = History(name="n", versions=())
    for number in range(1, 9):
        one = Version(version=number, change=Change.PUT, text="x" * 65_536, at=1.0, by="b")
        history = history.with_newest(one)
    assert sum(len(one.text) for one in history.versions) == MAX_VERSIONS_BYTES

    assert MAX_NAMES == 256
    monkeypatch.setattr("casemate.playbooks.books.MAX_NAMES", 2)
    for name in ("a", "b", "c"):
        await put(world, "t", name=name)
        await world.playbooks.files.remove(name, ADA)
    started = await again(world)
    assert not started.refused
    with pytest.raises(NotFoundError):
        await started.playbooks.books.versions("a")
    assert len(await started.playbooks.books.versions("c")) == 2
    # What was forgotten is not newer than what has its name later.
    await put(started, "t", name="a")
    assert started.playbooks.files.book("a").version == 3


async def test_a_broken_file_is_no_version() -> None:
    world = await World().loaded()
    with pytest.raises(PlaybookError):
        await world.playbooks.files.put("mine", "title = 1", ADA)
    with pytest.raises(NotFoundError):
        await world.playbooks.books.versions("mine")


_TEXTS = st.text("a1\0\U0001f600", max_size=4)
_FIELDS = st.fixed_dictionaries(
    {
        "name": _TEXTS,
        "version": st.integers(0, 1 << 31),
        "change": st.sampled_from(Change),
        "text": _TEXTS,
        "at": st.floats(allow_nan=False),
        "by": _TEXTS,
    }
)


def signed_bytes(fields: dict[str, Any]) -> bytes:
    given_ = dict(fields)
    return Version(**{k: v for k, v in given_.items() if k != "name"}).statement(fields["name"])


@given(_FIELDS, _FIELDS)
def test_what_is_signed_tells_any_two_versions_apart(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    alike = repr(sorted(one.items())) == repr(sorted(other.items()))
    assert (signed_bytes(one) == signed_bytes(other)) == alike
    for field in one:  # each by itself
        mixed = {**one, field: other[field]}
        assert (signed_bytes(mixed) == signed_bytes(one)) == (repr(mixed) == repr(one))


@given(_TEXTS, _TEXTS, _TEXTS)
def test_no_text_moves_from_one_field_to_the_next(name: str, by: str, moved: str) -> None:
    base = {"version": 1, "change": Change.PUT, "text": "", "at": 1.0}
    one, other = {**base, "name": name + moved, "by": by}, {**base, "name": name, "by": moved + by}
    assert (signed_bytes(one) == signed_bytes(other)) == (one == other)


@given(
    st.dictionaries(_TEXTS, st.integers(1, 99), max_size=4),
    st.dictionaries(_TEXTS, st.integers(1, 99), max_size=4),
    st.integers(1, 3),
    _FIELDS,
)
def test_lists_are_told_apart_from_each_other_and_from_versions(
    one: dict[str, int], other: dict[str, int], number: int, fields: dict[str, Any]
) -> None:
    first, second = Ledger(number=1, newest=one), Ledger(number=number, newest=other)
    same = (one, 1) == (other, number)
    assert (first.statement() == second.statement()) == same
    assert first.statement() != signed_bytes(fields)
    assert replace(first, signature=b"x").statement() == first.statement()
    assert all(a != b for a, b in itertools.pairwise([first.statement(), signed_bytes(fields)]))
