"""The vault's operations and what happens when its files are not as it wrote them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vault_samples import VALUE, contents, master_key, open_engine, put, value_of

from casemate.model.errors import NotFoundError
from casemate.vault import errors
from casemate.vault.envelope import new_key
from casemate.vault.interface import Purpose
from casemate.vault.new_master import NewMaster, seal_master
from casemate.vault.sealed import seal_value
from casemate.vault.secret_values import MAX_VERSIONS
from casemate.vault.sources import KeyParameters
from casemate.vault.state import STATE_FILE, read_header


@pytest.fixture
def master():
    return master_key()


@pytest.fixture
def engine(tmp_path: Path, master):
    opened = open_engine(tmp_path / "vault", master, create=True)
    yield opened
    opened.close()


@pytest.fixture
def reopen(tmp_path: Path, engine, master):
    current = [engine]

    def again(key=None):
        current[0]._folder.close()
        current[0] = open_engine(tmp_path / "vault", key or master)
        return current[0]

    yield again
    current[0]._folder.descriptor = os.open(tmp_path, os.O_RDONLY)


def test_data_keys_stay_and_differ_by_project_purpose_and_version(reopen, engine) -> None:
    first = engine.data_key("shop", Purpose.DATA, None)
    others = {
        engine.data_key("shop", Purpose.OBJECTS, None).key,
        engine.data_key("mail", Purpose.DATA, None).key,
        engine.data_key("", Purpose.DATA, None).key,
    }
    assert len(others | {first.key}) == 4
    assert repr(first) == "DataKey(version=1)"
    assert engine.rotate_data_keys("shop") == ("shop",)
    engine = reopen()
    assert engine.data_key("shop", Purpose.DATA, 1) == first
    newest = engine.data_key("shop", Purpose.DATA, None)
    assert newest.version == 2
    assert newest.key != first.key
    assert engine.data_key("mail", Purpose.DATA, None).version == 1
    assert engine.rotate_data_keys(None) == ("", "mail", "shop")
    with pytest.raises(NotFoundError):
        engine.data_key("shop", Purpose.DATA, 9)


def test_a_project_without_a_key_gets_none_by_rotation(engine) -> None:
    before = engine.status()
    with pytest.raises(NotFoundError, match="nothing"):
        engine.rotate_data_keys("nothing")
    assert engine.status() == before
    assert engine.rotate_data_keys(None) == ()


def renew(engine, project: str = "shop") -> int:
    """Renew all; return how many times there was something to renew."""
    times = 0
    while engine.renew_secrets(project):
        times += 1
    return times


def test_secrets_go_over_to_the_newest_key(engine, tmp_path, reopen) -> None:
    for number in range(40):
        put(engine, name=f"key-{number}", value=b"value-%d" % number)
    for value in (b"second", b"third!"):
        put(engine, name="key-7", value=value)
    put(engine, project="mail")
    shown, before = engine.secrets(None), set(contents(tmp_path / "vault"))
    assert renew(engine) == 0, "they are under the newest key"
    engine.rotate_data_keys("shop")
    assert renew(engine) == 2
    engine = reopen()
    assert engine.secrets(None) == shown
    assert [value_of(engine, f"key-{n}") for n in (0, 39)] == [b"value-0", b"value-39"]
    assert [value_of(engine, "key-7", version=v) for v in (1, 2, 3)] == [
        b"value-7", b"second", b"third!"
    ]  # fmt: skip
    assert {r.key for r in engine._opened.state.secrets if r.project == "shop"} == {2}
    after = set(contents(tmp_path / "vault"))
    assert len(before & after) == 2, "the vault's own file and the other project's secret"
    assert len(after) == len(before)


def test_a_damaged_secret_is_not_lost_by_renewing(engine, tmp_path) -> None:
    put(engine, name="good", value=b"good-value")
    put(engine, name="harmed", value=b"harmed-value")
    engine.rotate_data_keys("shop")
    record = next(r for r in engine._opened.state.secrets if r.name == "harmed")
    file = tmp_path / "vault" / record.file
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    before = contents(tmp_path / "vault")
    with pytest.raises(errors.VaultDamagedError, match="harmed"):
        engine.renew_secrets("shop")
    assert contents(tmp_path / "vault") == before
    file.write_bytes(whole)
    assert renew(engine) == 1
    assert value_of(engine, "harmed") == b"harmed-value"
    assert value_of(engine, "good") == b"good-value"


def test_a_full_disk_while_renewing_loses_nothing(engine, tmp_path, monkeypatch) -> None:
    put(engine, name="one", value=b"first-value")
    put(engine, name="two", value=b"second-value")
    engine.rotate_data_keys("shop")
    write, before = engine._folder.write, contents(tmp_path / "vault")
    for failing in (1, 2, 3):
        calls = iter(range(1, 9))

        def full(name: str, data: bytes, calls=calls, failing=failing) -> None:
            if next(calls) == failing:
                raise errors.VaultError("no space")
            write(name, data)

        with monkeypatch.context() as patched:
            patched.setattr(engine._folder, "write", full)
            with pytest.raises(errors.VaultError, match="no space"):
                engine.renew_secrets("shop")
        assert contents(tmp_path / "vault") == before
        assert value_of(engine, "two") == b"second-value"
    assert renew(engine) == 1


@pytest.mark.parametrize("project", ["Shop", "shop\n", "../x", "a/b", "x" * 64, "é"])
def test_names_that_are_none(engine, project) -> None:
    with pytest.raises(errors.VaultInputError):
        engine.data_key(project, Purpose.DATA, None)
    with pytest.raises(errors.VaultInputError):
        engine.put_secret(project, "key", b"x", "user:ada")
    with pytest.raises(errors.VaultInputError):
        engine.put_secret("shop", project, b"x", "user:ada")


def test_a_secret_for_the_node_itself_is_refused(engine) -> None:
    with pytest.raises(errors.VaultInputError):
        put(engine, project="")


def test_versions_of_a_secret(engine, reopen) -> None:
    assert put(engine).version == 1
    assert put(engine, value=b"second value").version == 2
    put(engine, name="other")
    engine = reopen()
    assert value_of(engine) == b"second value"
    assert value_of(engine, version=1) == VALUE
    (first, second) = engine.secrets("shop")
    assert (first.name, [v.version for v in first.versions]) == ("api-key", [1, 2])
    assert first.versions[0].created_by == "user:ada"
    assert second.name == "other"
    with pytest.raises(NotFoundError):
        value_of(engine, version=3)
    with pytest.raises(NotFoundError):
        value_of(engine, project="mail")
    engine.delete_secret("shop", "api-key")
    with pytest.raises(NotFoundError):
        value_of(engine)
    assert engine.secrets(None) == (second,)


def test_only_so_many_versions_are_kept(engine, tmp_path) -> None:
    for number in range(MAX_VERSIONS + 3):
        put(engine, value=b"value %d" % number)
    (info,) = engine.secrets("shop")
    assert [v.version for v in info.versions] == list(range(4, MAX_VERSIONS + 4))
    assert len(contents(tmp_path / "vault")) == MAX_VERSIONS + 1


def test_a_sealed_value_again_is_the_same_version_or_a_conflict(engine) -> None:
    sealed = seal_value(engine.public_key(), "shop", "key", VALUE)
    assert engine.put_secret("shop", "key", sealed, "user:ada").version == 1
    assert engine.put_secret("shop", "key", sealed, "user:ada").version == 1
    put(engine, name="key", value=b"rotated")
    with pytest.raises(errors.VaultConflictError):
        engine.put_secret("shop", "key", sealed, "user:mallory")
    assert value_of(engine, "key") == b"rotated"


@pytest.mark.parametrize(("project", "name"), [("shop", "other"), ("mail", "key")])
def test_a_sealed_value_is_worth_nothing_for_another_name(engine, project, name) -> None:
    sealed = seal_value(engine.public_key(), "shop", "key", VALUE)
    with pytest.raises(errors.VaultInputError):
        engine.put_secret(project, name, sealed, "user:mallory")
    assert engine.secrets(None) == ()


def test_several_are_set_together_or_none(engine, tmp_path) -> None:
    def sealed(name, value=VALUE):
        return name, seal_value(engine.public_key(), "shop", name, value)

    put(engine, "key")
    versions = engine.put_secrets("shop", (sealed("key", b"rotated"), sealed("other")), "user:ada")
    assert [one.version for one in versions] == [2, 1]
    assert value_of(engine, "key") == b"rotated" and value_of(engine, "other") == VALUE
    before = contents(tmp_path / "vault")
    wrong = ("third", sealed("fourth")[1])
    refused = [
        (sealed("third"), wrong),
        (sealed("third"), sealed("third")),
        (sealed("third"), ("no name", sealed("x")[1])),
        (),
        tuple(sealed(f"many-{number}") for number in range(101)),
    ]
    for entries in refused:
        with pytest.raises(errors.VaultInputError):
            engine.put_secrets("shop", entries, "user:mallory")
    assert contents(tmp_path / "vault") == before


def test_a_disk_that_fills_up_in_between_sets_none(engine, tmp_path, monkeypatch) -> None:
    put(engine, "key")
    before = contents(tmp_path / "vault")
    names = ("a", "b", "c")
    entries = [(name, seal_value(engine.public_key(), "shop", name, VALUE)) for name in names]
    real, calls = os.rename, []

    def full(*arguments, **named):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments, **named)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(errors.VaultError):
        engine.put_secrets("shop", entries, "user:ada")
    monkeypatch.undo()
    assert contents(tmp_path / "vault") == before
    assert [info.name for info in engine.secrets("shop")] == ["key"]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_killed_while_several_are_set_there_is_none_of_them(
    engine, tmp_path, monkeypatch, reopen, at
) -> None:
    put(engine, "key")
    entries = [(name, seal_value(engine.public_key(), "shop", name, VALUE)) for name in ("a", "b")]
    real, calls = os.rename, []

    def killed(*arguments, **named):
        calls.append(arguments)
        if len(calls) == at:
            raise KilledError
        real(*arguments, **named)

    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(KilledError):
        engine.put_secrets("shop", entries, "user:ada")
    monkeypatch.undo()
    opened = reopen()
    assert [info.name for info in opened.secrets("shop")] == ["key"]
    assert len(contents(tmp_path / "vault")) == 2, "what was half-written is swept"


def test_redaction_knows_all_versions_and_forgets_the_deleted(engine) -> None:
    put(engine)
    assert engine.redact("shop", [b"a " + VALUE]) == (b"a [redacted:api-key]",)
    put(engine, value=b"battery staple")
    both = engine.redact("shop", [VALUE, b"battery staple"])
    assert both == (b"[redacted:api-key]",) * 2
    assert engine.redact("mail", [VALUE]) == (VALUE,)
    engine.delete_secret("shop", "api-key")
    assert engine.redact("shop", [VALUE]) == (VALUE,)
    assert not engine.has_secrets("shop")


def test_wrap(engine, reopen) -> None:
    wrapped = engine.wrap("tls/ca", b"value")
    engine.rotate_data_keys("")
    engine = reopen()
    assert engine.unwrap("tls/ca", wrapped) == b"value"
    for context, data in (("tls/server", wrapped), ("tls/ca", wrapped[:-1]), ("tls/ca", b"")):
        with pytest.raises(errors.DecryptionError):
            engine.unwrap(context, data)
    with pytest.raises(errors.VaultInputError):
        engine.wrap("x", bytes(64 * 1024 + 1))


def test_nothing_is_in_clear(engine, tmp_path) -> None:
    put(engine, name="planted-name", value=b"planted value", project="planted-project")
    folder = tmp_path / "vault"
    for name, data in contents(folder).items():
        assert b"planted" not in data
        assert "planted" not in name
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_wrong_key_is_refused_and_changes_nothing(engine, tmp_path, reopen) -> None:
    put(engine)
    before = contents(tmp_path / "vault")
    with pytest.raises(errors.WrongMasterKeyError) as caught:
        reopen(master_key())
    assert "file:/etc/casemate/master.key" in str(caught.value)
    assert contents(tmp_path / "vault") == before


@given(st.booleans(), st.booleans(), st.integers(0, 1 << 32))
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_a_changed_bit_or_a_cut_of_any_file_is_noticed(
    tmp_path_factory, of_state, cut, place
) -> None:
    folder = tmp_path_factory.mktemp("v") / "vault"
    master = master_key()
    engine = open_engine(folder, master, create=True)
    put(engine)
    engine.close()
    name = STATE_FILE if of_state else next(folder.glob("*.secret")).name
    content = bytearray((folder / name).read_bytes())
    if cut:
        del content[place % len(content) :]
    else:
        bit = place % (len(content) * 8)
        content[bit // 8] ^= 1 << bit % 8
    (folder / name).write_bytes(content)
    with pytest.raises(errors.VaultDamagedError) as caught:
        opened = open_engine(folder, master)
        try:
            value_of(opened)
        finally:
            opened.close()
    assert name in str(caught.value)
    assert caught.value.next_step


def test_a_damaged_value_fails_redaction_closed(engine, tmp_path) -> None:
    put(engine)
    (file,) = (tmp_path / "vault").glob("*.secret")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(errors.VaultDamagedError) as caught:
        engine.redact("shop", [b"text"])
    assert "shop/api-key" in str(caught.value)


def test_files_cannot_change_places(engine, tmp_path) -> None:
    put(engine)
    put(engine, name="other", value=b"other value")
    one, two = (tmp_path / "vault").glob("*.secret")
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    for name in ("api-key", "other"):
        with pytest.raises(errors.VaultDamagedError):
            value_of(engine, name)


def test_files_of_another_vault_with_the_same_master_key(engine, tmp_path, master, reopen) -> None:
    put(engine)
    other = open_engine(tmp_path / "other", master, create=True)
    put(other)
    other.close()
    (ours,) = (tmp_path / "vault").glob("*.secret")
    (theirs,) = (tmp_path / "other").glob("*.secret")
    ours.write_bytes(theirs.read_bytes())
    with pytest.raises(errors.VaultDamagedError):
        value_of(reopen())
    state = (tmp_path / "other" / STATE_FILE).read_bytes()
    (tmp_path / "vault" / STATE_FILE).write_bytes(state)
    with pytest.raises((errors.VaultDamagedError, NotFoundError)):
        value_of(reopen())


def test_an_older_state_beside_newer_files_is_refused(engine, tmp_path, reopen) -> None:
    put(engine)
    old = (tmp_path / "vault" / STATE_FILE).read_bytes()
    for number in range(3):
        put(engine, value=b"value %d" % number)
    (tmp_path / "vault" / STATE_FILE).write_bytes(old)
    before = contents(tmp_path / "vault")
    with pytest.raises(errors.VaultDamagedError) as caught:
        reopen()
    assert "earlier time" in str(caught.value)
    assert contents(tmp_path / "vault") == before


def test_a_link_in_place_of_a_file_is_not_followed(engine, tmp_path, reopen) -> None:
    state = tmp_path / "vault" / STATE_FILE
    state.rename(tmp_path / "elsewhere")
    state.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(errors.VaultError):
        reopen()


def test_a_missing_state_beside_secrets_does_not_make_a_new_vault(
    engine, tmp_path, master, reopen
) -> None:
    put(engine)
    (tmp_path / "vault" / STATE_FILE).unlink()
    with pytest.raises(errors.VaultDamagedError):
        reopen()


def rotation(engine, tmp_path, present, key=None, source="file:/new.key"):
    header = read_header((tmp_path / "vault" / STATE_FILE).read_bytes())
    new = NewMaster(source, key or new_key(), KeyParameters(), present.key)
    return seal_master(header.public_key, header.vault, new), master_key(source, new.key)


def test_rotation_of_the_master_key(engine, tmp_path, master, reopen) -> None:
    put(engine)
    data = engine.data_key("shop", Purpose.DATA, None)
    wrapped = engine.wrap("x", b"value")
    kid = engine.public_keys()
    sealed, new = rotation(engine, tmp_path, master)
    status = engine.rotate_master(sealed)
    assert status.master_key == "file:/new.key"
    put(engine, name="after")
    with pytest.raises(errors.WrongMasterKeyError):
        reopen(master)
    engine = open_engine(tmp_path / "vault", new)
    assert value_of(engine) == value_of(engine, "after") == VALUE
    assert engine.data_key("shop", Purpose.DATA, None) == data
    assert engine.unwrap("x", wrapped) == b"value"
    assert engine.public_keys() == kid
    put(engine, name="later")
    engine.close()


def test_rotation_needs_the_present_key(engine, tmp_path, master) -> None:
    before = contents(tmp_path / "vault")
    for present, key in ((master_key(), None), (master, master.key), (master, b"short")):
        sealed, _new = rotation(engine, tmp_path, present, key)
        with pytest.raises(errors.VaultInputError):
            engine.rotate_master(sealed)
    assert contents(tmp_path / "vault") == before


def test_a_sealed_secret_is_no_master_key(engine, tmp_path, master) -> None:
    sealed = seal_value(engine.public_key(), "shop", "key", VALUE)
    with pytest.raises(errors.VaultInputError):
        engine.rotate_master(sealed)
    rotated, _new = rotation(engine, tmp_path, master)
    with pytest.raises(errors.VaultInputError):
        engine.put_secret("shop", "key", rotated, "user:ada")


class KilledError(BaseException):
    """Stands for the end of the process at one system call."""


@pytest.mark.parametrize("call", ["fsync", "rename"])
@pytest.mark.parametrize("done", [False, True])
def test_killed_in_the_middle_of_a_rotation(
    engine, tmp_path, master, reopen, monkeypatch, call, done
) -> None:
    put(engine)
    sealed, new = rotation(engine, tmp_path, master)
    real = getattr(os, call)

    def killed(*arguments, **names):
        if done:
            real(*arguments, **names)
        raise KilledError

    monkeypatch.setattr(os, call, killed)
    with pytest.raises(KilledError):
        engine.rotate_master(sealed)
    monkeypatch.undo()
    right, wrong = (new, master) if call == "rename" and done else (master, new)
    with pytest.raises(errors.WrongMasterKeyError):
        reopen(wrong)
    opened = open_engine(tmp_path / "vault", right)
    assert value_of(opened) == VALUE
    assert len(contents(tmp_path / "vault")) == 2, "what was half-written is swept"
    opened.close()


@pytest.mark.parametrize("number", range(6))
def test_killed_in_the_middle_of_a_put(engine, tmp_path, reopen, monkeypatch, number) -> None:
    put(engine)
    calls = iter(range(100))
    for name in ("fsync", "rename"):
        real_call = getattr(os, name)

        def killed(*arguments, real=real_call, **names):
            if next(calls) == number:
                raise KilledError
            return real(*arguments, **names)

        monkeypatch.setattr(os, name, killed)
    with pytest.raises(KilledError):
        put(engine, value=b"second value")
    monkeypatch.undo()
    opened = reopen()
    assert value_of(opened) == (b"second value" if number == 5 else VALUE)
    assert len(contents(tmp_path / "vault")) == 2 + (number == 5)


@pytest.mark.parametrize("number", range(6))
def test_a_full_disk_changes_nothing(engine, tmp_path, reopen, monkeypatch, number) -> None:
    put(engine)
    before = contents(tmp_path / "vault")
    calls = iter(range(100))
    for name in ("fsync", "rename"):
        real_call = getattr(os, name)

        def full(*arguments, real=real_call, **names):
            if next(calls) == number:
                raise OSError(28, "No space left on device")
            return real(*arguments, **names)

        monkeypatch.setattr(os, name, full)
    with pytest.raises(errors.VaultError) as caught:
        put(engine, value=b"second value")
    monkeypatch.undo()
    assert "No space left" in str(caught.value)
    if number == 5:  # renamed already: the change holds, though it may not outlive a power cut
        assert value_of(engine) == b"second value"
        return
    assert value_of(engine) == VALUE
    assert put(engine, value=b"after it all").version == 2
    assert value_of(reopen(), version=1) == VALUE
    assert set(before) - {STATE_FILE} <= set(contents(tmp_path / "vault"))


def test_one_process_at_a_time(engine, tmp_path, master) -> None:
    with pytest.raises(errors.VaultError, match="open in another process"):
        open_engine(tmp_path / "vault", master)


def test_export_is_a_vault(engine, tmp_path, master) -> None:
    put(engine)
    state, names = engine.export_names()
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    (copy / STATE_FILE).write_bytes(state)
    for name in names:
        (data,) = engine.export_file(name)
        (copy / name).write_bytes(data)
        assert VALUE not in data
    restored = open_engine(copy, master)
    assert value_of(restored) == VALUE
    restored.close()
    assert engine.export_file("../../etc/passwd") == ()
    assert engine.export_file(STATE_FILE) == ()


def test_an_export_names_a_file_that_is_gone(engine, tmp_path) -> None:
    """Before: that secrets were being removed, and to try again: no backup was made any more."""
    put(engine)
    (file,) = (tmp_path / "vault").glob("*.secret")
    file.unlink()
    _, (name,) = engine.export_names()
    with pytest.raises(errors.VaultDamagedError, match=rf"{name} with version 1 of .* is missing"):
        engine.export_file(name)


def test_status(engine) -> None:
    put(engine)
    engine.data_key("", Purpose.STORE, None)
    status = engine.status()
    assert (status.projects, status.secrets, status.memory_locked) == (1, 1, False)
    assert status.generation > 1
    assert status.oldest_data_key_at is not None
    assert len(status.master_key_id) == 16


def test_the_status_says_where_the_key_is_now(tmp_path: Path) -> None:
    """Before: where the vault was made, after its key and data were moved to another machine."""
    made = master_key("file:/old/master.key")
    open_engine(tmp_path / "vault", made, create=True).close()
    engine = open_engine(tmp_path / "vault", master_key("file:/new/master.key", made.key))
    assert engine.status().master_key == "file:/new/master.key"
    header = read_header((tmp_path / "vault" / STATE_FILE).read_bytes())
    new = NewMaster("command:other", new_key(), KeyParameters(), made.key)
    engine.rotate_master(seal_master(header.public_key, header.vault, new))
    assert engine.status().master_key == "command:other"
    engine.close()
