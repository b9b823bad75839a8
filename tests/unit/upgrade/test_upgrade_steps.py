"""An upgrade and the way back, killed at every line: what starts then is whole."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest

from casemate import __version__
from casemate.signing import SigningKey
from casemate.upgrade import upgrading, versions
from casemate.upgrade.asking import State
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.release import Release, read_release
from casemate.upgrade.schemas import own_schemas
from casemate.upgrade.upgrading import exchange, go_back, go_on, read_undo, upgrade
from casemate.upgrade.versions import COMPLETE, FOLDER, Versions
from support.versions import make_release

WATCHED = (upgrading.__file__, versions.__file__)
SERVES = State(version=__version__, prefix="/x", serving=True)
BEFORE, AFTER = "from before", "brought forward"


class Clock:
    """Goes on by what is slept."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Installation:
    """One version that runs, a release of another, and a data folder; programs are played."""

    def __init__(self, folder: Path, schemas: dict[str, int]) -> None:
        self.folder = folder
        make_environment(folder / "first")
        self.versions = Versions(folder / "first")
        self.data = folder / "data"
        (self.data / "store").mkdir(parents=True)
        (self.data / "content").write_text(BEFORE)
        key = make_release(folder / "release", "9.0.0", KEY, schemas=schemas)
        (folder / "copy").mkdir()
        self.release: Release = read_release(folder / "release", folder / "copy", [key])
        self.steps: list[str] = []

    def upgrade(self) -> None:
        with self.versions.changing():
            upgrade(
                self.release,
                self.versions,
                data=self.data,
                master_key="file:/x",
                backup=self.versions.backup_before("9.0.0"),
                back_up=lambda file: file.write_text(BEFORE) and None,
                tell=self.steps.append,
            )

    def back(self) -> Path | None:
        with self.versions.changing():
            return go_back(read_undo(self.versions), self.versions, tell=self.steps.append)

    def require_whole(self) -> str:
        """Return which version would start, and require that it is all there."""
        current = self.versions.current() or self.versions.own
        assert (current / "bin/python").exists()
        assert current == self.versions.own or (current / COMPLETE).exists()
        assert (self.data / "content").read_text() in (BEFORE, AFTER)
        assert (self.data / "store").is_dir()
        return "9.0.0" if current.name == "9.0.0" else "first"


KEY = SigningKey.from_bytes(bytes([1]) * 32)


def serve(data: Path, content: str) -> None:
    """Do what a node does that has served with a folder and was killed."""
    (data / "store/owner.pid").write_text("1")
    (data / "content").write_text(content)


def make_environment(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").write_text("")
    for path in (folder, folder / "bin"):
        path.chmod(0o755)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Installation]:
    def install(release: Release, environment: Path) -> None:
        if not (environment / COMPLETE).exists():
            (environment / "bin").mkdir(parents=True, exist_ok=True)
            make_environment_again(environment)
            (environment / COMPLETE).write_bytes(release.statement)

    def make_environment_again(environment: Path) -> None:
        (environment / "bin/python").write_text("")
        for path in (environment, environment / "bin"):
            path.chmod(0o755)

    def restore(backup: Path, data: Path, _manifest: object) -> None:
        (data / "store").mkdir(parents=True)
        (data / "content").write_text(backup.read_text())

    def hand_over(data: Path, version: str, tell: Any) -> None:
        serve(data, AFTER)

    monkeypatch.setattr(upgrading, "install", install)
    monkeypatch.setattr(upgrading, "require_host", lambda *_: None)
    monkeypatch.setattr(upgrading, "rehearse", lambda *_: None)
    monkeypatch.setattr(upgrading, "hand_over", hand_over)
    monkeypatch.setattr(upgrading, "restore", restore)
    monkeypatch.setattr(upgrading, "read_manifest", lambda _: None)
    monkeypatch.setattr(upgrading, "ask", lambda *_: None)
    numbers = iter(range(10_000))

    def new(schemas: dict[str, int] | None = None) -> Installation:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return Installation(folder, schemas or own_schemas())

    return new


def killed_at(line: int, work: Callable[[], object]) -> bool:
    """Do it in another process, which is killed before the n-th line; tell if it came so far."""
    pid = os.fork()
    if pid == 0:
        left = line

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if frame.f_code.co_filename not in WATCHED:
                return None
            if event == "line":
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            sys.settrace(trace)
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


EACH = pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.storm)])


@EACH
def test_an_upgrade_killed_at_each_line_leaves_what_starts_and_goes_on(make, every) -> None:
    found = []
    for line in range(0, 1000, every):
        one = make()
        killed = killed_at(line, one.upgrade)
        found.append(one.require_whole())
        if not killed:
            break
        one.upgrade()
        assert one.require_whole() == "9.0.0"
        assert read_undo(one.versions).backup == str(one.versions.backup_before("9.0.0"))
    assert 40 < len(found) * every < 600 and found == sorted(found, reverse=True)
    assert found[0] == "first" and found[-1] == "9.0.0"


@EACH
def test_the_way_back_killed_at_each_line_leaves_what_starts_and_goes_on(make, every) -> None:
    found = []
    for line in range(0, 1000, every):
        one = make({"store": 99})
        one.upgrade()
        killed = killed_at(line, one.back)
        found.append(one.require_whole())
        if found[-1] == "first":
            assert (one.data / "content").read_text() == BEFORE
        if not killed:
            break
        if (one.versions.folder / "upgrade.json").exists():
            one.back()
        assert one.require_whole() == "first"
        assert (one.data / "content").read_text() == BEFORE
        [aside] = one.folder.glob("data.9.0.0-*")
        assert (aside / "content").read_text() == AFTER
    assert 40 < len(found) * every < 600 and found == sorted(found)


def test_a_start_after_a_kill_on_the_way_back_costs_nothing_of_what_there_was(
    make, monkeypatch
) -> None:
    """The host may start the node again, as the version that is current until the very end."""

    one = make({"store": 99})
    one.upgrade()
    for again in range(3):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(one.versions, "switch", interrupt)
            one.back()
        assert one.require_whole() == "9.0.0"
        assert (one.data / "content").read_text() == BEFORE
        serve(one.data, f"brought forward again {again}")
    aside = one.back()
    assert one.require_whole() == "first"
    assert (one.data / "content").read_text() == BEFORE, "the former version can read it"
    kept = {each.name: (each / "content").read_text() for each in one.folder.glob("data.*")}
    assert aside is not None and kept[aside.name] == "brought forward again 2"
    assert sorted(kept.values()) == [AFTER, *(f"brought forward again {n}" for n in range(3))]


def test_a_run_that_goes_on_leaves_the_former_version_where_the_other_does_not_serve(
    make, monkeypatch
) -> None:
    """What was killed between the switch and the handover is ended by the next run."""

    def fail(*_: object) -> None:
        raise UpgradeError("it did not come to serve")

    one = make()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(upgrading, "hand_over", interrupt)
        one.upgrade()
    assert one.require_whole() == "9.0.0"
    running = State(version=__version__, prefix=str(one.versions.own), serving=True)
    with monkeypatch.context() as patch, pytest.raises(UpgradeError, match="come to serve"):
        patch.setattr(upgrading, "hand_over", fail)
        patch.setattr(upgrading, "ask", lambda *_: running)
        go_on(running, "9.0.0", one.versions, one.data, one.steps.append)
    assert one.require_whole() == "first"
    one.versions.switch(one.versions.environment("9.0.0"))
    (one.versions.folder / "8.0.0/bin").mkdir(parents=True)
    go_on(running, "9.0.0", one.versions, one.data, one.steps.append)
    assert one.require_whole() == "9.0.0"
    assert not (one.versions.folder / "8.0.0").exists(), "as where nothing came in between"
    assert read_undo(one.versions).version == __version__


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_steps_are_told_in_their_order(make) -> None:
    one = make()
    one.upgrade()
    assert [step.split()[0] for step in one.steps] == [
        "Installing", "Trying", "Making", "Bringing", "From",
    ]  # fmt: skip
    assert one.versions.current() == one.folder / FOLDER / "9.0.0"
    undo = read_undo(one.versions)
    assert (undo.version, undo.to_version) == (__version__, "9.0.0")


@pytest.mark.parametrize("step", ["install", "require_host", "rehearse"])
def test_what_fails_before_the_switch_has_changed_nothing(make, monkeypatch, step) -> None:
    def fail(*_: object) -> None:
        raise UpgradeError("no")

    one = make()
    monkeypatch.setattr(upgrading, step, fail)
    with pytest.raises(UpgradeError, match="no"):
        one.upgrade()
    assert one.versions.current() is None
    with pytest.raises(UpgradeError, match="no upgrade to go back from"):
        read_undo(one.versions)


def test_what_a_handover_waits_for_is_told_every_few_seconds(monkeypatch, tmp_path) -> None:
    clock = Clock()
    handing = msgspec.structs.replace(SERVES, handing_over=True, calls=2)
    answers = [
        *[handing] * 50,  # ten seconds
        *[msgspec.structs.replace(handing, calls=1)] * 25,
        *[msgspec.structs.replace(handing, calls=0)] * 25,
        *[None] * 25,
        State(version="9.0.0", prefix="/y", serving=False),
        State(version="9.0.0", prefix="/y", serving=True),
    ]
    told: list[str] = []
    monkeypatch.setattr(upgrading, "time", clock)
    monkeypatch.setattr(upgrading, "ask", lambda *_, **__: answers.pop(0))
    upgrading.hand_over(tmp_path, "9.0.0", told.append)
    assert answers == []
    first, *others = told
    assert "within 30 s" in first and "Ctrl-C" in first
    assert others == [
        "2 calls run; what has not ended in 25 s is cut off",
        "1 call runs; what has not ended in 20 s is cut off",
        f"{__version__} ends",
        "Calls have ended; 9.0.0 starts",
        "Calls have ended; 9.0.0 starts",
    ]


def test_a_version_that_does_not_serve_is_not_what_starts(make, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise UpgradeError("it did not come to serve")

    one = make()
    monkeypatch.setattr(upgrading, "hand_over", fail)
    monkeypatch.setattr(upgrading, "ask", lambda *_: SERVES)
    with pytest.raises(UpgradeError, match="did not come to serve"):
        one.upgrade()
    assert one.versions.current() == one.versions.own
    # Nobody answers: it may have brought the data forward, and is what can open it.
    other = make()
    monkeypatch.setattr(upgrading, "ask", lambda *_: None)
    with pytest.raises(UpgradeError, match="did not come to serve"):
        other.upgrade()
    assert other.require_whole() == "9.0.0"


def test_back_without_a_loss_where_data_is_kept_alike(make, monkeypatch) -> None:
    one = make()
    one.upgrade()
    assert one.back() is None
    assert one.versions.current() == one.versions.own
    assert (one.data / "content").read_text() == AFTER
    # No node has said that it is that version: one that was started before may be the other.
    monkeypatch.setattr(upgrading, "ask", lambda *_: SERVES)
    assert one.back() is None
    with pytest.raises(UpgradeError, match="no upgrade to go back from"):
        read_undo(one.versions)


def test_back_hands_over_a_node_that_was_killed_and_started_while_it_was_asked(
    make, monkeypatch
) -> None:
    """It was asked before the link was switched, and the command said that the former one runs."""
    one = make()
    one.upgrade()
    started = msgspec.structs.replace(SERVES, version="9.0.0")
    handed: list[str] = []

    def ask(*_: object) -> State | None:
        # It does not answer while it starts: as what was current then.
        return started if one.versions.current() == one.versions.own else None

    monkeypatch.setattr(upgrading, "ask", ask)
    monkeypatch.setattr(
        upgrading, "hand_over", lambda _data, version, _tell: handed.append(version)
    )
    assert one.back() is None and handed == [__version__]


def test_back_of_a_node_that_runs_and_does_not_answer_changes_nothing(make) -> None:
    import fcntl

    one = make()
    one.upgrade()
    held = os.open(one.data / "store", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(UpgradeError, match="does not answer"):
        one.back()
    os.close(held)
    assert one.require_whole() == "9.0.0"
    assert one.back() is None and one.require_whole() == "first"


def test_back_to_what_does_not_serve_leaves_what_does(make, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise UpgradeError("it did not come to serve")

    one = make()
    one.upgrade()
    monkeypatch.setattr(upgrading, "hand_over", fail)
    newer = msgspec.structs.replace(SERVES, version="9.0.0")
    monkeypatch.setattr(upgrading, "ask", lambda *_: newer)
    with pytest.raises(UpgradeError, match="come to serve"):
        one.back()
    assert one.require_whole() == "9.0.0"
    assert read_undo(one.versions).version == __version__


def test_back_over_a_schema_keeps_what_came_since_aside(make) -> None:
    one = make({"store": 99})
    one.upgrade()
    aside = one.back()
    assert aside is not None and (aside / "content").read_text() == AFTER
    assert (one.data / "content").read_text() == BEFORE
    assert [path.name for path in one.folder.iterdir() if path.name.startswith(".")] == []


def test_back_over_a_schema_needs_a_node_that_has_stopped(make, monkeypatch) -> None:
    import fcntl

    one = make({"store": 99})
    one.upgrade()
    monkeypatch.setattr(upgrading, "ask", lambda *_: SERVES)
    with pytest.raises(UpgradeError, match="is running"):
        one.back()
    monkeypatch.setattr(upgrading, "ask", lambda *_: None)
    held = os.open(one.data / "store", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(UpgradeError, match="is running"):
        one.back()
    os.close(held)
    assert (one.data / "content").read_text() == AFTER
    assert one.require_whole() == "9.0.0"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff", b'{"version":1}'])
def test_a_way_back_that_cannot_be_read_is_none(make, content) -> None:
    one = make()
    one.upgrade()
    (one.versions.folder / "upgrade.json").write_bytes(content)
    with pytest.raises(UpgradeError, match="cannot be read"):
        one.back()


def test_two_folders_take_each_others_place(tmp_path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text("")
    exchange(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "one/two").exists() and (tmp_path / "two/one").exists()
    with pytest.raises(OSError, match="No such file"):
        exchange(tmp_path / "one", tmp_path / "three")
