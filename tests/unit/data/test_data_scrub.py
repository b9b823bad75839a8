"""A check of a project's data: nothing is found where nothing is wrong, and what is wrong is."""

from __future__ import annotations

from pathlib import Path

import pytest
from data_support import Data, end_of

from casemate.data import Fate
from casemate.model.integrity import Damaged


@pytest.fixture
def kept(data: Data) -> Data:
    """A project in which everything has happened that changes a counter."""
    for number in range(12):
        size = (10, 40_000, 200_000)[number % 3]
        data.put_object("p", "kept", f"o{number % 5}", b"%d" % (number % 10) * size)
        data.put_item("p", "plain", {"id": f"i{number}"})
        data.send("p", "queue", "rest", b"%d" % number)
        data.send("p", "topic", "jobs", b"%d" % number)
    data.delete_object("p", "kept", "o1")
    leased = data.lease("p", "queue", "rest", limit=5, lease=10.0)
    fates = (Fate.DONE, Fate.DEAD, Fate.DEAD, Fate.RETRY)
    data.settle(
        "p",
        "queue",
        "rest",
        [
            end_of(message, fate=fate, reason="r")
            for message, fate in zip(leased, fates, strict=False)
        ],
    )
    return data


def found_in(data: Data) -> tuple[str | Damaged, ...]:
    read: list[int] = []
    found = data.run(data.port.scrub("p", read.append))
    assert sum(read) > 0
    return tuple(found)


def scrubbed(data: Data) -> tuple[str, ...]:
    """Return what logs may have."""
    return tuple(one if isinstance(one, str) else one.problem for one in found_in(data))


def altered(data: Data, statement: str) -> tuple[str, ...]:
    async def change() -> None:
        await data.opened().change(lambda work: work.connection.execute(statement).rowcount)

    data.run(change())
    return scrubbed(data)


def test_what_is_whole_has_no_findings(kept: Data) -> None:
    assert scrubbed(kept) == ()
    kept.reopen()
    assert scrubbed(kept) == ()
    kept.run(kept.port.rekey("p"))
    assert scrubbed(kept) == ()


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        (
            "UPDATE resource SET number = number + 1 WHERE kind = 'queue' AND name = 'rest'",
            "queue rest counts",
        ),
        (
            "UPDATE resource SET total = total + 1 WHERE kind = 'bucket' AND name = 'kept'",
            "bucket kept counts",
        ),
        ("UPDATE resource SET dead = 0 WHERE kind = 'queue'", "0 dead letters, but there are 2"),
        (
            "UPDATE object SET sealed = zeroblob(length(sealed)) WHERE id = (SELECT max(id) "
            "FROM object)",
            "of bucket kept: An object's content is not authentic",
        ),
    ],
)
def test_what_contradicts_itself_is_found(kept: Data, statement: str, finding: str) -> None:
    (found,) = altered(kept, statement)
    assert finding in found


def test_files_that_were_changed_cut_or_removed_are_found(kept: Data) -> None:
    files = sorted((kept.folder / "objects" / "p").iterdir())
    assert len(files) >= 3
    content = bytearray(files[0].read_bytes())
    content[100] ^= 1
    files[0].write_bytes(content)
    files[1].write_bytes(files[1].read_bytes()[:-1])
    files[2].unlink()
    found = "\n".join(scrubbed(kept))
    for what in ("is not authentic", "bytes, expected", "its file is gone"):
        assert what in found
    assert "o0" not in found, "keys are content"
    damaged = [one for one in found_in(kept) if isinstance(one, Damaged)]
    assert len(damaged) >= 3
    assert {(one.kind, one.name) for one in damaged} == {("bucket", "kept")}
    assert {one.key for one in damaged} <= {"o0", "o2", "o3", "o4"}
    assert len({one.problem for one in damaged}) == len(damaged)


def test_a_damaged_page_is_named(kept: Data) -> None:
    kept.reopen()
    kept.resources("p")
    database: Path = kept.folder / "p@1.db"
    content = bytearray(database.read_bytes())
    content[5 * 4096 + 200] ^= 1
    with database.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(content[5 * 4096 : 6 * 4096])
    assert scrubbed(kept) == ("page 6 is not what was written",)
