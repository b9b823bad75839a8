"""A damaged object that a read has met is told of, until it is whole again or gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from data_support import Data

from casemate.data.damaged import MAX_NOTED, DamagedObjects, Reading
from casemate.data.errors import DataCorruptError, DataMediumError

LARGE = b"l" * 200_000


def faults(data: Data) -> tuple[str, ...]:
    return tuple(data.port.faults())


def damage(path: Path) -> bytes:
    """Change a bit; return what was there."""
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    return content


@pytest.fixture
def met(data: Data) -> Data:
    """A project in which a read has met an object that is not as it was written."""
    data.put_object("p", "files", "secret-name", LARGE)
    damage(data.files()[0])
    assert faults(data) == ()
    for _ in range(2):
        with pytest.raises(DataCorruptError):
            data.get_object("p", "files", "secret-name")
    return data


def test_what_a_read_has_met_is_told_without_its_key(met: Data) -> None:
    (told,) = faults(met)
    assert told.startswith("project p: an object of bucket files could not be read: ")
    assert "is not authentic" in told and "secret-name" not in told


@pytest.mark.parametrize("how", ["missing", "short"])
def test_files_that_are_gone_or_cut_are_told(data: Data, how: str) -> None:
    data.put_object("p", "files", "k", LARGE)
    (file,) = data.files()
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataCorruptError):
        data.get_object("p", "files", "k")
    assert len(faults(data)) == 1


def test_a_small_object_is_told_as_well(data: Data) -> None:
    data.put_object("p", "files", "k", b"small")
    data.reopen()

    async def change() -> None:
        await data.opened().change(
            lambda work: work.connection.execute("UPDATE object SET sealed = zeroblob(50)").rowcount
        )

    data.head_object("p", "files", "k")  # a project that is open
    data.run(change())
    with pytest.raises(DataCorruptError):
        data.get_object("p", "files", "k")
    assert len(faults(data)) == 1


@pytest.mark.parametrize(
    "mend",
    [
        lambda data: data.put_object("p", "files", "secret-name", b"small"),
        lambda data: data.put_object("p", "files", "secret-name", LARGE),
        lambda data: data.delete_object("p", "files", "secret-name"),
        lambda data: data.drop("p", "bucket", "files"),
    ],
    ids=["small", "large", "deleted", "dropped"],
)
def test_it_is_told_until_it_is_written_or_deleted(met: Data, mend: Callable[[Data], None]) -> None:
    met.put_object("p", "files", "another", LARGE)
    met.put_object("p", "other", "secret-name", LARGE)
    assert len(faults(met)) == 1, "another object was written"
    mend(met)
    assert faults(met) == ()


def test_it_is_told_until_a_check_finds_it_sound(data: Data) -> None:
    data.put_object("p", "files", "k", LARGE)
    content = damage(data.files()[0])
    with pytest.raises(DataCorruptError):
        data.get_object("p", "files", "k")
    data.scrub("p", lambda _: None)
    assert len(faults(data)) == 1, "the check has found the same"
    data.files()[0].write_bytes(content)
    data.scrub("p", lambda _: None)
    assert faults(data) == ()


def test_it_is_told_until_the_same_read_succeeds(data: Data) -> None:
    """A disk that returned other bytes once."""
    data.put_object("p", "files", "k", LARGE)
    content = damage(data.files()[0])
    with pytest.raises(DataCorruptError):
        data.get_object("p", "files", "k")
    data.files()[0].write_bytes(content)
    assert data.get_object("p", "files", "k")[1] == LARGE
    assert faults(data) == ()


def test_what_is_noted_is_bounded() -> None:
    damaged = DamagedObjects()
    for number in range(3 * MAX_NOTED):
        with (
            pytest.raises(DataCorruptError),
            damaged.noting("p", Reading("files", str(number), None, 0, None)),
        ):
            raise DataCorruptError("It is damaged.")
    assert damaged.faults() == {
        "p": f"{MAX_NOTED} objects of bucket files could not be read: It is damaged."
    }
    assert len(damaged.noted("p")) == MAX_NOTED


def test_a_disk_that_fails_for_a_moment_is_no_damage() -> None:
    damaged = DamagedObjects()
    with pytest.raises(OSError), damaged.noting("p", Reading("files", "k", None, 0, None)):
        raise OSError(5, "Input/output error")
    assert damaged.faults() == {}


def test_a_log_that_cannot_be_read_is_told_by_its_project(data: Data) -> None:
    """The name of its file looks like an address, which is masked in errors."""
    data.put_object("p", "files", "k", LARGE)
    data.close()
    (count,) = data.folder.glob("p@*.db-count")
    count.rename(f"{count}.kept")
    count.symlink_to(f"{count.name}.kept")
    data.open()
    with pytest.raises(DataMediumError) as caught:
        data.head_object("p", "files", "k")
    assert "the project p" in str(caught.value) and "@" not in str(caught.value)
