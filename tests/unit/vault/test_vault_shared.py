"""A vault that nodes share: one history, whatever fails between; nothing older, foreign or swapped
is taken, whoever gives it."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shared_samples import MASTER, Node, Rows, two
from vault_samples import VALUE, master_key, open_engine, put

from casemate.child.calls import reply
from casemate.child.frames import FrameBuffer, frame
from casemate.gateway import shared_vault as keeping
from casemate.model.errors import NotFoundError
from casemate.store.shared_vault import StoredState
from casemate.vault import errors, shared, shared_protocol
from casemate.vault.draft import ChangeNeededError
from casemate.vault.engine import VaultEngine
from casemate.vault.envelope import new_key
from casemate.vault.folder import MAX_FILE, VaultFolder
from casemate.vault.interface import Purpose
from casemate.vault.new_master import NewMaster, seal_master
from casemate.vault.obtaining import obtain_master
from casemate.vault.opening import open_vault
from casemate.vault.own_record import OWN_FILE
from casemate.vault.sources import KeyParameters, KeySource, parse_source
from casemate.vault.state import STATE_FILE, decode_state, encode_state, read_header
from casemate.vault.successor import loss_of


def of_two(scene: Callable[..., Awaitable[None]]) -> Callable[[Path], None]:
    """Run a scene with two nodes and their database."""

    @wraps(scene)
    def run(tmp_path: Path) -> None:
        async def body() -> None:
            async with two(tmp_path) as (one, other, rows):
                await scene(one, other, rows)

        asyncio.run(body())

    del run.__wrapped__  # pytest would ask for what the scene takes
    return run


@of_two
async def test_what_one_changes_the_others_have(one: Node, other: Node, rows: Rows) -> None:
    await one.put("own", b"own-value")
    await other.follow()
    for node in (one, other):
        assert node.engine.redact("shop", [b"own-value"]) == (b"[redacted:own]",)
    await one.put("api-key", b"first-value")
    await one.put("gone", b"to-be-deleted")
    assert one.engine.redact("shop", [b"first-value"]) == (b"[redacted:api-key]",)
    await other.follow()
    assert other.value("api-key") == b"first-value"
    redacted = other.engine.redact("shop", [b"first-value other-value"])
    assert redacted == (b"[redacted:api-key] other-value",)
    await other.put("api-key", b"other-value")
    await other.change("delete_secret", "shop", "gone")
    kid = await other.change("rotate_signing_key")
    await other.change("rotate_data_keys", None)
    await one.follow()
    assert (
        one.values()
        == other.values()
        == {
            "api-key": b"other-value",
            "own": b"own-value",
        }
    )
    assert one.engine.redact("shop", [b"other-value"]) == (b"[redacted:api-key]",)
    assert one.engine.public_keys() == other.engine.public_keys()
    token = one.engine.sign_token(b'{"iat": 1, "exp": 2}')
    assert kid in str(one.engine.public_keys()) and token
    key = one.engine.data_key("shop", Purpose.DATA, None)
    assert key == other.engine.data_key("shop", Purpose.DATA, None)
    assert key.version == 2
    same = {name: data for name, data in one.files().items() if name != OWN_FILE}
    assert same == {name: data for name, data in other.files().items() if name != OWN_FILE}
    assert rows.stored == {n: d for n, d in same.items() if n != STATE_FILE}


@of_two
async def test_who_was_second_changes_what_the_first_has_made(
    one: Node, other: Node, rows: Rows
) -> None:
    await one.put("first", b"of-the-first")
    await other.put("second", b"of-the-second")
    assert other.values() == {"first": b"of-the-first", "second": b"of-the-second"}
    # A key of one project is made on both at once: there is one.
    made = await asyncio.gather(
        *(node.change("data_key", "new", Purpose.DATA, None) for node in (one, other))
    )
    assert made[0] == made[1]
    await one.follow()
    assert one.values() == other.values()


@of_two
async def test_many_at_once_lose_nothing(one: Node, other: Node, rows: Rows) -> None:
    work = [node.put(f"n{n}-{i}", b"%d-value-%d" % (n, i))
            for n, node in enumerate((one, other)) for i in range(12)]  # fmt: skip
    results = await asyncio.gather(*work, return_exceptions=True)
    made = [n for n, each in enumerate(results) if not isinstance(each, Exception)]
    refused = [each for each in results if isinstance(each, Exception)]
    assert all(isinstance(each, errors.VaultConflictError) for each in refused), refused
    await one.follow()
    await other.follow()
    assert one.values() == other.values()
    assert len(one.values()) == len(made) >= 12


@of_two
async def test_others_that_are_always_first_are_told_after_some_attempts(
    one: Node, other: Node, rows: Rows
) -> None:
    def first() -> None:
        header, state = decode_state(rows.there or b"", MASTER.key)
        header = msgspec.structs.replace(header, generation=header.generation + 1)
        rows.there = encode_state(header, state, MASTER.key)

    rows.before = first
    before = one.values()
    with pytest.raises(errors.VaultConflictError, match=f"{shared.ATTEMPTS} times"):
        await one.put("api-key", VALUE)
    rows.before = lambda: None
    assert one.values() == before


@of_two
async def test_without_the_database_nothing_is_changed_and_all_is_read(
    one: Node, other: Node, rows: Rows
) -> None:
    await one.put("api-key", VALUE)
    before = one.files()
    rows.away = True
    for change in (one.put("api-key", b"another-value"), one.change("rotate_signing_key")):
        with pytest.raises(errors.VaultUnavailableError, match="cannot be reached"):
            await change
    assert one.files() == before
    assert one.value("api-key") == VALUE
    with pytest.raises(ChangeNeededError):
        one.engine.rotate_signing_key()
    assert one.engine.data_key("shop", Purpose.DATA, 1)
    rows.away = False
    await one.put("api-key", b"another-value")


@of_two
async def test_an_unsure_commit_is_looked_for(one: Node, other: Node, rows: Rows) -> None:
    rows.faults.append("made")
    await one.put("made", b"made-value")
    assert one.value("made") == b"made-value"
    assert len(one.engine.secrets("shop")[0].versions) == 1, "it is not made once more"
    rows.faults.append("lost")
    await one.put("lost", b"lost-value")
    await other.follow()
    assert other.values() == {"made": b"made-value", "lost": b"lost-value"}
    # Others went on from it before it was looked for.
    rows.faults.append("made")
    look = rows.state
    once = [True]

    async def later(known: bytes) -> Any:
        if once:
            once.clear()
            await other.put("between", b"between-value")
        return await look(known)

    rows.state = later  # type: ignore[method-assign]
    await one.change("rotate_data_keys", "shop")
    assert one.engine.data_key("shop", Purpose.DATA, None).version == 2, "once"
    assert one.value("between") == b"between-value"


@of_two
async def test_what_cannot_be_looked_for_is_said_to_be_unknown(
    one: Node, other: Node, rows: Rows
) -> None:
    rows.faults.append("made")

    async def away(known: bytes) -> Any:
        raise errors.VaultUnavailableError("away")

    rows.state, look = away, rows.state  # type: ignore[method-assign]
    with pytest.raises(errors.VaultUnsureError, match="not known whether"):
        await one.put("api-key", VALUE)
    rows.state = look  # type: ignore[method-assign]
    await one.follow()
    assert one.value("api-key") == VALUE


@of_two
async def test_an_older_state_is_refused(one: Node, other: Node, rows: Rows) -> None:
    await one.put("api-key", b"first-value")
    await other.follow()
    old = rows.there, dict(rows.stored)
    await one.put("api-key", b"other-value")
    rows.there, rows.stored = old
    before = one.files()
    with pytest.raises(errors.VaultDamagedError, match="brought back from an earlier time"):
        await one.follow()
    with pytest.raises(errors.VaultDamagedError, match="brought back from an earlier time"):
        await one.put("api-key", b"third-value")
    one.close()
    with pytest.raises(errors.VaultDamagedError, match="brought back from an earlier time"):
        one.open()
    assert one.files() == before
    one.open(fetch=False)
    assert one.value("api-key") == b"other-value"


@of_two
async def test_an_older_state_is_taken_once_it_is_accepted_by_its_name(
    one: Node, other: Node, rows: Rows
) -> None:
    """A database that was put back to a moment: each node says what it loses, by the same name."""
    await one.put("api-key", b"first-value")
    old = rows.there, dict(rows.stored)
    await one.put("api-key", b"other-value")
    await one.change("data_key", "new", Purpose.DATA, None)
    await other.follow()
    rows.there, rows.stored = old
    names = set()
    for node in (one, other):
        node.close()
        with pytest.raises(errors.VaultDamagedError, match="from an earlier time") as refused:
            node.open()
        names.add((refused.value.next_step or "").split()[-1])
    [name] = names
    other.open(fetch=False)
    own_record = one.files()[OWN_FILE]
    with pytest.raises(errors.VaultDamagedError):
        one.open(accepted=f"{name[:-1]}{'0' if name[-1] != '0' else '1'}")
    one.open(accepted=name)
    await one.follow()
    assert one.value("api-key") == b"first-value" and one.files()[OWN_FILE] == own_record
    await one.put("api-key", b"after-it")
    await one.put("api-key", b"after-that")
    # Meanwhile the database has gone on: that is another loss, with another name.
    other.close()
    with pytest.raises(errors.VaultDamagedError, match="two states of generation") as refused:
        other.open(accepted=name)
    later = (refused.value.next_step or "").split()[-1]
    assert later != name
    other.open(accepted=later)
    await other.follow()
    assert other.value("api-key") == b"after-that"


@of_two
async def test_what_is_of_another_vault_or_damaged_is_accepted_by_no_name(
    one: Node, other: Node, rows: Rows
) -> None:
    stranger = Node(one.path.parent / "stranger", Rows()).open()
    await stranger.follow()
    here = one.files()[STATE_FILE]
    there = rows.there or b""
    one.close()
    for given in (stranger.rows.there or b"", there[:-1] + bytes([there[-1] ^ 1]), b"x"):
        rows.there = given
        with pytest.raises(errors.VaultError):
            one.open(accepted=loss_of(here, given))
    assert one.files()[STATE_FILE] == here
    stranger.close()


@of_two
async def test_a_history_that_lost_what_was_seen_is_refused(
    one: Node, other: Node, rows: Rows
) -> None:
    await one.put("api-key", VALUE)
    await other.follow()
    there, stored = rows.there, dict(rows.stored)
    await one.change("data_key", "new", Purpose.DATA, None)
    rows.there, rows.stored = there, stored
    await other.put("api-key", b"other-value")
    with pytest.raises(errors.VaultDamagedError, match="two states of generation"):
        await one.follow()
    await other.put("api-key", b"third-value")
    with pytest.raises(errors.VaultDamagedError, match="key 1 of project 'new' is not the same"):
        await one.follow()
    before = one.files()
    one.close()
    with pytest.raises(errors.VaultDamagedError, match="is not the same"):
        one.open()
    assert one.files() == before
    one.open(fetch=False)


@of_two
async def test_a_state_of_another_vault_is_refused_by_name(
    one: Node, other: Node, rows: Rows
) -> None:
    stranger = Node(one.path.parent / "stranger", Rows()).open()
    await stranger.follow()
    for _ in range(5):
        await stranger.put("api-key", VALUE)
    rows.there = stranger.rows.there
    name = stranger.engine.opened.vault
    with pytest.raises(errors.VaultDamagedError, match=f"database has the vault {name}"):
        await one.follow()
    before = other.files()
    other.close()
    with pytest.raises(errors.VaultDamagedError, match=f"database has the vault {name}"):
        other.open()
    source = KeySource(parse_source("file:/nowhere"), forbidden=Path("/nowhere"), taken=None)
    with pytest.raises(errors.VaultDamagedError, match="of different clusters"):
        obtain_master(stranger.folder, source, create=True, brought=before[STATE_FILE])
    assert other.files() == before
    other.open(fetch=False)
    stranger.close()


@of_two
async def test_who_joins_without_the_master_key_is_told_to_bring_it(
    one: Node, other: Node, rows: Rows
) -> None:
    """Not to name a file of the machine on which the vault was made: here is no such file."""
    gone = one.path.parent / "gone.key"
    source = KeySource(parse_source(f"file:{gone}"), forbidden=one.path, taken=None)
    with pytest.raises(errors.MasterKeySourceError, match=f"There is no file {gone}") as told:
        obtain_master(one.folder, source, create=False, brought=other.files()[STATE_FILE])
    assert "that the nodes share" in told.value.message and "in this data" not in str(told.value)
    assert "Bring that key to this machine" in str(told.value.next_step)


@of_two
async def test_swapped_changed_and_missing_files_are_refused(
    one: Node, other: Node, rows: Rows
) -> None:
    await other.put("a", b"value-of-a")
    await other.put("b", b"value-of-b")
    first, second = rows.stored
    whole = dict(rows.stored)
    before = one.files()
    for harmed in (
        {first: whole[second], second: whole[first]},
        {first: whole[first][:-1]},
        {first: whole[first], second: b""},
        {first: whole[first]},
    ):
        rows.stored = dict(harmed)
        with pytest.raises(errors.VaultDamagedError, match=r"belongs elsewhere|is missing"):
            await one.follow()
        assert one.generation < other.generation
        assert one.files()[STATE_FILE] == before[STATE_FILE]
    rows.stored = whole
    await one.follow()
    assert one.values() == other.values()


@of_two
async def test_a_changed_bit_of_the_state_is_refused(one: Node, other: Node, rows: Rows) -> None:
    await other.put("a", b"value-of-a")
    whole = rows.there or b""
    for place in range(0, len(whole), 97):
        rows.there = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with pytest.raises((errors.VaultDamagedError, errors.WrongMasterKeyError)) as raised:
            await one.follow()
        told = str(raised.value)
        assert "cluster's database" in told or "changed on another node" in told
    rows.there = whole
    await one.follow()


@of_two
async def test_rows_that_are_too_large_are_named_and_end_no_connection(
    one: Node, other: Node, rows: Rows
) -> None:
    """Else every node would start again and again, and say that its vault is gone."""
    await one.put("api-key", VALUE)
    whole, files = rows.there, dict(rows.stored)
    assert whole is not None
    given = rows.state

    async def with_a_longer_digest(known: bytes) -> StoredState | None:
        found = await given(known)
        return found and found._replace(digest=found.digest + b"\0")

    async def is_refused(told: str) -> None:
        with pytest.raises(errors.VaultUnavailableError, match=told):
            await other.follow()

    rows.state = with_a_longer_digest  # type: ignore[method-assign]
    await is_refused("digest of the vault in the database has 33 bytes, expected at most 32")
    rows.state = given  # type: ignore[method-assign]
    rows.there = whole + bytes(MAX_FILE)
    await is_refused("A state of the vault in the database has")
    rows.there = whole
    rows.stored = {name: bytes(shared_protocol.MAX_SECRET_FILE + 1) for name in files}
    await is_refused("A secret of the vault in the database has")
    rows.stored = files
    await other.follow()  # by the connection that it had
    assert other.engine.redact("shop", [VALUE]) == (b"[redacted:api-key]",)


@of_two
async def test_a_database_that_was_emptied_gets_no_vault_anew(
    one: Node, other: Node, rows: Rows
) -> None:
    rows.there = None
    for node in (one, other):
        with pytest.raises(errors.VaultDamagedError, match="has no vault"):
            await node.follow()
    assert rows.there is None


@of_two
async def test_each_node_has_a_journal_and_records_of_its_own(
    one: Node, other: Node, rows: Rows
) -> None:
    keys = [node.engine.journal_key() for node in (one, other)]
    assert all(key.made for key in keys)
    assert keys[0].name != keys[1].name
    assert keys[0].public != keys[1].public
    with pytest.raises(errors.VaultInputError, match="not a head of this node's journal"):
        other.engine.sign_head(f"{keys[0].name}\n1\nAAAA\n")
    assert other.engine.sign_head(f"{keys[1].name}\n5\nAAAA\n")
    one.engine.keep_records()
    assert (one.engine.records_kept(), other.engine.records_kept()) == (True, False)
    await one.put("api-key", VALUE)
    await other.follow()
    with pytest.raises(errors.VaultInputError, match="go back"):
        other.engine.sign_head(f"{keys[1].name}\n4\nAAAA\n")
    for node in (one, other):
        node.close()
        node.open()
    again = [node.engine.journal_key() for node in (one, other)]
    assert [(k.name, k.public, k.made) for k in again] == [(k.name, k.public, False) for k in keys]
    assert (one.engine.records_kept(), other.engine.records_kept()) == (True, False)
    kept = other.path / OWN_FILE
    whole = kept.read_bytes()
    other.close()
    for harmed in ((one.path / OWN_FILE).read_bytes()[:-1], whole[:-1], b""):
        kept.write_bytes(harmed)
        with pytest.raises(errors.VaultDamagedError, match=OWN_FILE):
            other.open()
    kept.write_bytes(whole)
    other.open()


def test_a_node_that_was_alone_goes_on_with_its_journal_and_a_copy_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_protocol, "MAX_FILES", 4)

    async def scene() -> None:
        alone = open_engine(tmp_path / "one", MASTER, create=True)
        put(alone)
        for number in range(10):
            put(alone, name=f"key-{number}")
        journal = alone.journal_key()
        alone.keep_records()
        alone.close()
        copy = tmp_path / "copy"
        copy.mkdir()
        for name, data in Node(tmp_path / "one", Rows()).files().items():
            (copy / name).write_bytes(data)
        rows = Rows()
        one = await Node(tmp_path / "one", rows).open().follow()
        other = await Node(copy, rows).open().follow()
        new = await Node(tmp_path / "new", rows).open().follow()
        found = [node.engine.journal_key() for node in (one, other, new)]
        assert (found[0].name, found[0].public, found[0].made) == (
            *(journal.name, journal.public), False,
        )  # fmt: skip
        assert len({key.name for key in found}) == len({key.public for key in found}) == 3
        kept = [node.engine.records_kept() for node in (one, other, new)]
        assert kept == [True, False, False]
        assert one.values() == other.values() == new.values()
        assert len(new.values()) == 11
        for node in (one, other, new):
            node.close()

    asyncio.run(scene())


def test_nothing_of_one_node_is_asked_for_before_there_is_a_cluster(tmp_path: Path) -> None:
    async def scene() -> None:
        node = Node(tmp_path / "one", Rows()).open()
        for ask in (node.engine.journal_key, node.engine.records_kept):
            with pytest.raises(errors.VaultUnavailableError, match="not in the cluster's database"):
                ask()
        with pytest.raises(errors.VaultUnavailableError, match="not in the cluster's database"):
            await node.put("api-key", VALUE)
        node.close()

    asyncio.run(scene())


@of_two
async def test_who_began_at_the_same_moment_and_was_second_joins_when_it_starts_again(
    one: Node, other: Node, rows: Rows
) -> None:
    """Before: it had a vault of its own for good, which the database is not of."""
    late = Node(one.path.parent / "late", rows).open(fetch=False)
    assert late.engine.status().generation == 1
    id_, before = late.shared._own.id, late.files()
    late.close()
    given, rows.there = rows.there or b"", (rows.there or b"")[:-1] + b"?"
    with pytest.raises(errors.VaultDamagedError):
        late.open()
    assert late.files() == before
    rows.there = given
    await late.open().follow()
    assert late.engine.opened.vault == one.engine.opened.vault
    assert late.shared._own.id != id_, "its own record was of the vault that nobody has"
    await late.put("api-key", VALUE)
    await one.follow()
    assert one.value("api-key") == VALUE
    late.close()
    changed = Node(one.path.parent / "changed", Rows()).open()
    await changed.follow()
    changed.close()
    changed.rows = rows
    with pytest.raises(errors.VaultDamagedError, match="of different clusters"):
        changed.open()


@of_two
async def test_a_shared_vault_is_not_changed_by_a_node_alone(
    one: Node, other: Node, rows: Rows
) -> None:
    await one.put("api-key", VALUE)
    one.close()
    engine, none = open_vault(one.folder.open(one.path, create=False, uid=None), MASTER,
                              memory_locked=False)  # fmt: skip
    assert none is None
    assert engine.secret_value("shop", "api-key", None)[1]() == VALUE
    with pytest.raises(ChangeNeededError):
        put(engine)
    with pytest.raises(ChangeNeededError):
        engine.rotate_signing_key()
    names = engine.export_names()[1]
    assert OWN_FILE in names and all(engine.export_file(name) for name in names)
    engine.close()
    one.open()


@of_two
async def test_a_node_that_is_alone_again_has_the_vault_and_can_share_it_anew(
    one: Node, other: Node, rows: Rows
) -> None:
    """Also one that joined: with its own journal, and its secrets."""
    await one.put("pin", b"value-1")
    await other.follow()
    assert other.engine.journal_key().made
    journal = other.engine.journal_key()
    for node in (one, other):
        node.close()

    def alone(*, take_back: bool) -> VaultEngine:
        folder = VaultFolder.open(other.path, create=False, uid=None)
        engine, shared = open_vault(folder, MASTER, memory_locked=False, take_back=take_back)
        assert shared is None
        return engine

    refused = alone(take_back=False)
    with pytest.raises(ChangeNeededError):
        put(refused, name="late")
    refused.close()
    for take_back, name in ((True, "late"), (False, "later")):
        engine = alone(take_back=take_back)
        put(engine, name=name)
        assert engine.journal_key() == journal
        assert {info.name for info in engine.secrets("shop")} >= {"pin", name}
        engine.close()
    # The former cluster's state is older than what it knows now: a fork is refused.
    with pytest.raises(errors.VaultError):
        other.open()
    # In a database that has none it is put again, and from then on it is shared.
    rows.there, rows.stored = None, {}
    await other.open().follow()
    assert rows.there is not None and len(rows.stored) == 3
    assert other.engine.journal_key() == journal
    await other.put("last", b"value-3")
    other.close()
    with pytest.raises(ChangeNeededError):
        put(alone(take_back=False), name="no")


def master_change(node: Node, new: bytes) -> bytes:
    change = NewMaster("file:/new.key", new, KeyParameters(), MASTER.key)
    return seal_master(node.engine.public_key(), node.engine.opened.vault, change)


@of_two
async def test_who_has_the_former_master_key_refuses_by_name_until_it_has_the_new_one(
    one: Node, other: Node, rows: Rows
) -> None:
    await one.put("api-key", VALUE)
    await other.follow()
    journal = other.engine.journal_key()
    new = new_key()
    await one.change("rotate_master", master_change(one, new))
    assert one.value("api-key") == VALUE
    for attempt in (other.follow(), other.put("api-key", b"other-value")):
        with pytest.raises(errors.WrongMasterKeyError, match="changed on another node"):
            await attempt
    assert other.value("api-key") == VALUE
    await one.put("api-key", b"newer-value")
    other.close()
    with pytest.raises(errors.WrongMasterKeyError):
        other.open()
    other.master = master_key(key=new)
    other.open()
    await other.follow()
    assert other.value("api-key") == b"newer-value"
    again = other.engine.journal_key()
    assert (again.name, again.public, again.made) == (journal.name, journal.public, False)
    await other.put("api-key", b"last-value")
    await one.follow()
    assert one.value("api-key") == b"last-value"


@of_two
async def test_two_changes_of_the_master_key_at_once_are_one(
    one: Node, other: Node, rows: Rows
) -> None:
    keys = [new_key(), new_key()]
    results = await asyncio.gather(
        *(node.change("rotate_master", master_change(node, key))
          for node, key in zip((one, other), keys, strict=True)),
        return_exceptions=True,
    )  # fmt: skip
    refused = [each for each in results if isinstance(each, Exception)]
    assert len(refused) == 1
    assert isinstance(refused[0], errors.WrongMasterKeyError)
    assert read_header(rows.there or b"").generation == 3


@of_two
async def test_a_kill_between_any_two_writes_leaves_what_is_opened_again(
    one: Node, other: Node, rows: Rows
) -> None:
    class Killed(BaseException):
        pass

    for number in range(1, 6):
        await one.put("api-key", b"value-%d" % number)
        left = [number]
        write = other.folder.write

        def failing(name: str, data: bytes, left=left, write=write) -> None:
            left[0] -= 1
            if not left[0]:
                raise Killed
            write(name, data)

        other.folder.write = failing  # type: ignore[method-assign]
        other.folder.remove = lambda _name: None  # type: ignore[method-assign]
        done = await asyncio.gather(other.follow(), return_exceptions=True)
        assert isinstance(done[0], Killed | Node)
        other.close()
        other.open(fetch=number % 2 == 0)
        await other.follow()
        assert other.value("api-key") == b"value-%d" % number
        named = {STATE_FILE, OWN_FILE, *other.engine.secret_values.files()}
        assert set(other.files()) == named, "nothing is left over"


# -- a gateway that is not what it should be ---------------------------------------------------


async def lying(node: Node, answers: Callable[[int], bytes | None]) -> None:
    """Have a gateway in the place of the node's that answers each question as it is told."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    assert node.keeper is not None
    node.keeper.close()
    node.shared.attach(theirs)
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        frames = FrameBuffer(shared_protocol.KEEPING.frame)
        with ours:
            while data := await loop.sock_recv(ours, 65536):
                for body in frames.feed(data):
                    answer = answers(shared_protocol.decode_question(body).n)
                    if answer is not None:
                        await loop.sock_sendall(ours, answer)

    serving = asyncio.ensure_future(serve())
    serving.add_done_callback(lambda task: task.cancelled() or task.exception())
    node.lying = serving  # type: ignore[attr-defined]


@of_two
async def test_a_gateway_that_hangs_is_given_up_and_what_only_reads_goes_on(
    one: Node, other: Node, rows: Rows
) -> None:
    await one.put("api-key", VALUE)
    await lying(one, lambda _n: None)
    shared_asked = shared.asked.GATEWAY
    shared.asked.GATEWAY = msgspec.structs.replace(shared_asked, seconds=0.05)
    try:
        await lying(one, lambda _n: None)
        change = asyncio.ensure_future(one.put("api-key", b"other-value"))
        await asyncio.sleep(0)
        assert one.value("api-key") == VALUE
        with pytest.raises(errors.VaultUnavailableError):
            await change
    finally:
        shared.asked.GATEWAY = shared_asked
    assert one.value("api-key") == VALUE
    one.connect()
    await one.put("api-key", b"other-value")


LIES: dict[str, Callable[[int], bytes]] = {
    "no frame at all": lambda n: b"\xff" * 64,
    "no message": lambda n: frame(b"nothing"),
    "more than a frame may have": lambda n: (1 << 31).to_bytes(4, "big") + b"x" * 4096,
    "an answer of another kind": lambda n: frame(reply(n, {"made": [1, 2, 3]})),
    "a number": lambda n: frame(reply(n, 7)),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_no_answer_changes_nothing(tmp_path: Path, lie: str) -> None:
    async def scene() -> None:
        async with two(tmp_path) as (one, _other, _rows):
            await one.put("api-key", VALUE)
            before = one.files()
            for attempt in (lambda: one.put("api-key", b"other-value"), one.follow):
                await lying(one, LIES[lie])
                with pytest.raises(errors.VaultUnavailableError):
                    await attempt()
            assert one.files() == before
            one.connect()
            await one.put("api-key", b"other-value")

    asyncio.run(scene())


@of_two
async def test_a_gateway_that_says_made_without_doing_it_is_found_out(
    one: Node, other: Node, rows: Rows
) -> None:
    await lying(one, lambda n: frame(reply(n, True)))
    await one.put("api-key", VALUE)
    one.connect()
    with pytest.raises(errors.VaultDamagedError, match="brought back from an earlier time"):
        await one.follow()
    await other.put("api-key", b"other-value")
    with pytest.raises(errors.VaultDamagedError, match="two states of generation"):
        await one.follow()


@of_two
async def test_more_files_than_were_asked_for_are_refused(
    one: Node, other: Node, rows: Rows
) -> None:
    await other.put("api-key", VALUE)

    async def more(names: Any) -> Any:
        return (*(rows.stored[name] for name in names), b"x")

    rows.files = more  # type: ignore[method-assign]
    with pytest.raises(errors.VaultUnavailableError, match="2 files of secrets, expected 1"):
        await one.follow()


@of_two
async def test_changes_that_wait_are_bounded(one: Node, other: Node, rows: Rows) -> None:
    rows.state = asyncio.Event().wait  # type: ignore[method-assign,assignment]
    waiting = [asyncio.ensure_future(one.shared.follow()) for _ in range(shared.MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(errors.VaultUnavailableError, match="wait already"):
        await one.put("api-key", VALUE)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


@of_two
async def test_what_is_missed_is_looked_for_once_for_all_who_miss_it(
    one: Node, other: Node, rows: Rows
) -> None:
    asked = []
    look = rows.state

    async def counted(known: bytes) -> Any:
        asked.append(known)
        return await look(known)

    rows.state = counted  # type: ignore[method-assign]
    await one.put("api-key", VALUE)
    with pytest.raises(NotFoundError):
        other.value("api-key")
    await asyncio.gather(*(other.shared.look() for _ in range(100)))
    assert other.value("api-key") == VALUE
    assert len(asked) <= 2


def test_the_gateway_takes_no_question_that_is_none_and_not_too_many(tmp_path: Path) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        rows = Rows()
        rows.state = asyncio.Event().wait  # type: ignore[method-assign,assignment]
        ask = msgspec.msgpack.encode(shared_protocol.GetState(1, b""))
        wrong = msgspec.msgpack.encode(shared_protocol.GetFiles(1, ("../../etc/passwd",)))
        for sent in (frame(b"nothing"), frame(wrong), frame(ask) * (keeping.MAX_QUESTIONS + 1)):
            ours, theirs = socket.socketpair()
            theirs.setblocking(False)
            lost: list[bool] = []
            keeper = keeping.VaultKeeper(ours, loop, rows, lost=lambda lost=lost: lost.append(True))
            await loop.sock_sendall(theirs, sent)
            assert await asyncio.wait_for(loop.sock_recv(theirs, 1024), 5) == b""
            assert lost == [True], "the gateway begins anew"
            keeper.close()
            theirs.close()

    asyncio.run(scene())


def test_a_slow_database_is_told_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "STORE_SECONDS", 0.02)

    async def scene() -> None:
        async with two(tmp_path) as (one, _other, rows):
            forever = asyncio.Event().wait
            rows.change, change = lambda _change: forever(), rows.change  # type: ignore
            await_look = rows.state
            with pytest.raises(errors.VaultConflictError):
                await one.put("api-key", VALUE)
            rows.state = lambda _known: forever()  # type: ignore
            with pytest.raises(errors.VaultUnsureError):
                await one.put("api-key", VALUE)
            with pytest.raises(errors.VaultUnavailableError, match="not answered"):
                await one.follow()
            rows.state, rows.change = await_look, change  # type: ignore[method-assign]
            await one.put("api-key", VALUE)
            assert hashlib.sha256(rows.there or b"").digest()

    asyncio.run(scene())
