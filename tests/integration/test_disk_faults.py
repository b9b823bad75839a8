"""A disk that fails: what cannot be read fails, the rest works; all works once the disk does."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.faults import DiskFaults, Operation
from support.faults.child import Child

EVERYTHING = Operation.READ | Operation.WRITE | Operation.SYNC
DATABASE = "data/p@1.db"
STORE = "store/records.db"
RECORDS = "records/records.db"


@pytest.fixture
def faults(tmp_path: Path) -> DiskFaults:
    return DiskFaults(tmp_path)


@pytest.fixture
def child(tmp_path: Path, faults: DiskFaults) -> Iterator[Child]:
    with Child(tmp_path / "node", faults.environment) as started:
        assert started.ensure().ok
        assert started.many("kept", 60).ok
        assert started.deploy("f").ok
        assert started.reopen().ok
        yield started


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("operation", list(Operation)[:3], ids=lambda o: o.name.lower())
def test_a_project_works_again_once_its_disk_does(
    child: Child, faults: DiskFaults, operation: Operation, every: int
) -> None:
    """Before: one failed read had every later call of the project answered "damaged"."""
    faults.begin(DATABASE, operation, every=every)
    acknowledged = []
    for number in range(12):
        for answer in (child.put(f"during-{number}", 5000), child.get(f"kept-{number * 5}")):
            if not answer.ok:
                assert answer[2], f"told as lasting: {answer}"
        if answer.ok:
            acknowledged.append(number)
    faults.end()
    assert child.put("after").ok
    assert child.all("kept", 60) == ("ok", 60)
    assert child.faults()[1] == []


def test_what_was_acknowledged_among_failing_calls_is_there_after_a_kill(
    tmp_path: Path, faults: DiskFaults, child: Child
) -> None:
    kept = []
    for round_number, (operation, every) in enumerate(
        [(Operation.SYNC, 3), (Operation.WRITE, 23), (EVERYTHING, 37)]
    ):
        faults.begin(DATABASE, operation, every=every)
        for number in range(30):
            name = f"{round_number}-{number}"
            if child.put(name, 3000).ok:
                kept.append(name)
        faults.end()
    assert len(kept) > 30
    child.kill()
    with Child(tmp_path / "node", {}) as again:
        assert again.opened.ok
        assert all(again.get(name) == ("ok", True) for name in kept)


def test_one_damaged_page_fails_what_meets_it_and_nothing_else(
    tmp_path: Path, child: Child
) -> None:
    """Before: every later write of the project failed, too."""
    assert child.many("big", 400, 2000).ok
    assert child.reopen().ok
    database = tmp_path / "node" / DATABASE
    # A page near the end: of the items that were kept last, not of the tree's upper levels.
    flip(database, database.stat().st_size // 4096 // 2 * 4096 + 2000)
    before = child.all("big", 400)
    assert before.ok
    assert 300 < before[1] < 400, "something met it"
    for number in range(20):
        assert child.put(f"after-{number}").ok
        assert child.get("kept-1").ok
    assert child.all("big", 400) == before
    refused = [a for a in (child.get(f"big-{n}") for n in range(400)) if not a.ok]
    assert {a[1] for a in refused} == {"DataCorruptError"}
    assert "page" in refused[0][3] and "not what was written" in refused[0][3]
    (fault,) = child.faults()[1]
    assert "damaged: page" in fault


@pytest.mark.parametrize("pages", [1, 40])
def test_a_file_that_was_cut_off_is_damaged_and_not_busy_for_a_moment(
    tmp_path: Path, pages: int
) -> None:
    """Before: each call was asked to come again, for ever: no page that there was had changed."""
    with Child(tmp_path / "node", {}) as child:
        assert child.ensure().ok
        assert child.many("big", 400, 2000).ok
        assert child.close().ok
    database = tmp_path / "node" / DATABASE
    whole = database.stat().st_size // 4096
    with database.open("r+b") as file:
        file.truncate((whole - pages) * 4096)
    with Child(tmp_path / "node", {}) as again:
        answers = [again.get(f"big-{n}") for n in range(0, 400, 3)]
        refused = [a for a in answers if not a.ok]
        assert refused and {a[1] for a in refused} == {"DataCorruptError"}
        assert "from page" in refused[0][3] and "is not what was written" in refused[0][3]
        (fault,) = again.faults()[1]
        assert "damaged: the end of" in fault


def test_the_store_works_again_once_its_disk_does(child: Child, faults: DiskFaults) -> None:
    for operation, every in ((Operation.READ, 1), (Operation.WRITE, 2), (Operation.SYNC, 1)):
        faults.begin(STORE, operation, every=every)
        for _ in range(5):
            for answer in (child.deploy("g"), child.functions()):
                assert answer.ok or answer[2], f"told as lasting: {answer}"
        faults.end()
        assert child.deploy("after").ok
        assert child.functions().ok


def test_the_records_are_kept_once_each_when_their_disk_works_again(
    child: Child, faults: DiskFaults
) -> None:
    """What was refused is sent again, as the gateway does, whatever became of it."""
    kept = [str(child.record()[1])]
    for operation, error in (
        (Operation.READ, errno.EIO),
        (Operation.WRITE, errno.EIO),
        (Operation.SYNC, errno.EIO),
        (Operation.WRITE, errno.ENOSPC),
        (Operation.WRITE, errno.EDQUOT),
    ):
        faults.begin(RECORDS, operation, every=2, error=error)
        refused = 0
        for _ in range(6):
            answer = child.record()
            while not answer.ok and refused < 20:
                assert answer[2], f"told as lasting: {answer}"
                refused += 1
                answer = child.record(True)
            if not answer.ok:
                break
            kept.append(str(answer[1]))
        faults.end()
        if not answer.ok:
            kept.append(str(child.record(True)[1]))
    assert child.recorded()[1] == kept
    assert len(kept) > 10


def test_records_are_kept_once_each_whichever_write_fails(
    tmp_path: Path, child: Child, faults: DiskFaults
) -> None:
    """The n-th write of three takes, for each n there is; then the process is killed."""
    kept: list[str] = []
    for operation in (Operation.WRITE, Operation.SYNC):
        for error in (errno.EIO, errno.ENOSPC):
            number = failed = 0
            while not number or failed:
                number += 1
                faults.begin(RECORDS, operation, error=error, every=number, most=1)
                for _ in range(3):
                    answer = child.record()
                    if not answer.ok:
                        assert answer[2], f"told as lasting: {answer}"
                        answer = child.record(True)
                    assert answer.ok
                    kept.append(str(answer[1]))
                failed = faults.end()
            assert number > 3, operation
    child.kill()
    with Child(tmp_path / "node", {}) as again:
        assert again.recorded()[1] == kept


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_as_one(child: Child, faults: DiskFaults, error: int) -> None:
    assert child.put("before").ok
    with faults.failing("node/", Operation.WRITE, error=error):
        answer = child.put("full")
        assert answer[1] in ("DataFullError", "CommitUnsureError")
        assert answer[2]
    assert child.put("full").ok


@pytest.mark.parametrize(
    ("place", "told", "call"), [(STORE, "the store", "deploy"), (DATABASE, "the data of p", "put")]
)
@pytest.mark.parametrize(
    ("operation", "error"), [(Operation.WRITE, errno.ENOSPC), (Operation.SYNC, errno.EIO)]
)
def test_what_could_not_be_written_is_told_until_it_can(
    *, child: Child, faults: DiskFaults, place: str, told: str, call: str, operation: Operation,
    error: int
) -> None:  # fmt: skip
    """Before: each call was told, and nothing told the operator."""
    assert child.put("before").ok
    assert child.unwritten() == ("ok", [])
    with faults.failing(place, operation, error=error):
        for _ in range(3):
            assert not getattr(child, call)("lost").ok
        _until(lambda: bool(child.unwritten()[1]))
        (found,) = child.unwritten()[1]
        assert found.startswith(f"{told}: 3 failed since "), found
        assert "disk" in found
    _until(lambda: child.unwritten() == ("ok", []))
    assert getattr(child, call)("kept").ok


def test_one_write_that_failed_for_a_moment_is_not_told(child: Child, faults: DiskFaults) -> None:
    faults.begin(STORE, Operation.WRITE, error=errno.ENOSPC, most=1)
    child.deploy("lost")
    time.sleep(1.5)
    assert child.unwritten() == ("ok", [])


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("suffix", ["", "-wal"])
def test_an_open_database_that_is_removed_or_replaced_is_noticed_at_once(
    tmp_path: Path, child: Child, suffix: str
) -> None:
    """Before: what was acknowledged went to a file that nobody could ever open again."""
    path = tmp_path / "node" / f"{DATABASE}{suffix}"
    assert child.put("before").ok
    moved = path.with_name("moved")
    path.rename(moved)
    answer = child.put("lost")
    assert answer[1] == "DataGoneError"
    assert f"{path.name} was removed or replaced" in answer[3]
    assert child.faults()[1] == [f"project p: {path.name} was removed or replaced while it is open"]
    path.write_bytes(moved.read_bytes())
    assert child.put("lost")[1] == "DataGoneError", "a copy is another file"
    moved.rename(path)
    assert child.put("kept").ok
    assert child.get("before") == ("ok", True)


def test_a_store_that_is_removed_is_noticed_at_once(tmp_path: Path, child: Child) -> None:
    path = tmp_path / "node" / STORE
    path.unlink()
    answer = child.deploy("g")
    assert answer[1] == "StoreGoneError"
    assert child.functions()[1] == "StoreGoneError"
    assert child.faults()[1] == ["records.db was removed or replaced while it is open"]


def _round(child: Child, faults: DiskFaults, chosen: random.Random, kept: Kept) -> None:
    """Let some calls on some files fail for a while; keep what is acknowledged meanwhile."""
    for rule in range(chosen.randint(1, 3)):
        place = chosen.choice(["data/p@1.db", "p@1.db-wal", "p@1.db-count", "objects/p", "store/"])
        # A count that can be neither written nor removed is taken for a loss at the next start.
        operations = Operation(chosen.randint(1, 63)) & ~Operation.NAME
        error = chosen.choice([errno.EIO, errno.EIO, errno.ENOSPC, errno.EMFILE])
        if error == errno.ENOSPC:
            # No kernel says so of a read. The engine would take the connection for a good one, of
            # which the first call after it then fails, as one to make again.
            operations &= ~Operation.READ
        every = chosen.choice([1, 2, 3, 5, 11, 29])
        faults.begin(place, operations, error=error, every=every, rule=rule)
    for _ in range(chosen.randint(3, 12)):
        name = f"n{len(kept.items)}-{chosen.randrange(10**6)}"
        kind = chosen.randrange(6)
        if kind < 2:
            if child.put(name, chosen.randrange(8000)).ok:
                kept.items.append(name)
        elif kind == 2:
            size = chosen.choice([100, 40_000, 150_000])
            if child.put_object(name, size).ok:
                kept.objects[name] = size
        elif kind == 3:
            answer = child.deploy("f")
            kept.version = answer[1] if answer.ok else kept.version
        elif kind == 4 and kept.items:
            answer = child.get(chosen.choice(kept.items))
            assert answer.ok or answer[1] != "NotFoundError", answer
        else:
            child.reopen()
    for rule in range(3):
        faults.end(rule)


def _look(child: Child, kept: Kept) -> None:
    """See that all works again, and that everything is there."""
    assert child.put("works").ok, child.put("works")
    assert child.deploy("works").ok
    for name in kept.items:
        assert child.get(name) == ("ok", True), name
    for name, size in kept.objects.items():
        assert child.get_object(name) == ("ok", size), name
    answer = child.deploy("f")
    assert answer.ok and answer[1] > kept.version
    kept.version = answer[1]


class Kept:
    """What was acknowledged."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.objects: dict[str, int] = {}
        self.version = 0


def random_faults(folder: Path, seed: int, rounds: int) -> None:
    chosen, kept, faults = random.Random(seed), Kept(), DiskFaults(folder)
    child = Child(folder / "node", faults.environment)
    try:
        assert child.ensure().ok
        for number in range(rounds):
            _round(child, faults, chosen, kept)
            if chosen.random() < 0.3:
                child.kill()
                child = Child(folder / "node", faults.environment)
                assert child.opened.ok, (seed, number, child.opened)
            _look(child, kept)
    finally:
        child.kill()


def test_faults_of_any_kind_at_any_time(tmp_path: Path) -> None:
    random_faults(tmp_path, 1, 8)


@pytest.mark.storm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(20))
def test_faults_of_any_kind_at_any_time_for_long(tmp_path: Path, seed: int) -> None:
    random_faults(tmp_path, seed, 60)
