"""`casemate upgrade`: what is asked and said; the steps themselves are played."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from casemate import __version__
from casemate.folder.presence import SHARED
from casemate.signing import SigningKey
from casemate.upgrade import asking, upgrading, versions
from casemate.upgrade.asking import State
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.schemas import own_schemas
from casemate.upgrade.upgrading import Undo
from support.versions import make_release

KEY = SigningKey.from_bytes(bytes([1]) * 32)
PUBLIC = base64.b64encode(KEY.public).decode()


class Played:
    """What was done, in place of doing it."""

    def __init__(self, folder: Path) -> None:
        self.running: State | None = State(version=__version__, prefix="/x", serving=True)
        self.done: list[Any] = []
        make_release(folder / "release", "9.0.0", KEY, schemas=own_schemas())
        make_release(folder / "own", __version__, KEY)
        self.release = str(folder / "release")
        self.own = str(folder / "own")
        self.undo = Undo(
            version="0.0.1",
            environment="/first",
            schemas={"store": 1},
            to_version=__version__,
            to_environment="/x",
            to_schemas={"store": 1},
            data="/data",
            backup="/backup",
            at=0.0,
        )


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    """No node, and an installation in a folder of the test."""
    one = Played(tmp_path)
    (tmp_path / "first").mkdir(mode=0o755)
    monkeypatch.setattr(versions, "own_prefix", lambda: tmp_path / "first")
    monkeypatch.setattr(asking, "ask", lambda *_: one.running)
    monkeypatch.setattr(upgrading, "ask", lambda *_: one.running)
    monkeypatch.setattr(
        upgrading, "upgrade", lambda release, *_, **rest: one.done.append((release.version, rest))
    )
    monkeypatch.setattr(upgrading, "hand_over", lambda *rest: one.done.append(rest[1]))
    monkeypatch.setattr(upgrading, "read_undo", lambda _: one.undo)
    monkeypatch.setattr(upgrading, "go_back", lambda undo, *_, **__: one.done.append(undo))
    return one


def test_check_says_what_it_is_and_changes_nothing(cli, played, tmp_path) -> None:
    result = cli("upgrade", "--check", played.release, "--key", PUBLIC)
    assert result.code == 0 and "9.0.0: 1 wheels, signatures hold" in result.out
    told = json.loads(cli("upgrade", "--check", played.release, "--key", PUBLIC, "--json").out)
    assert told["version"] == "9.0.0" and told["running"] == __version__ and told["alike"] is True
    assert played.done == [] and not (tmp_path / versions.FOLDER).exists()


def test_without_a_key_a_yes_or_a_node_nothing_is_done(cli, played) -> None:
    result = cli("upgrade", played.release)
    assert result.code == 1 and "--key" in result.err
    result = cli("upgrade", played.release, "--key", PUBLIC)
    assert result.code == 2 and "--yes" in result.err
    played.running = None
    result = cli("upgrade", played.release, "--key", PUBLIC, "--yes")
    assert result.code == 1 and "No node serves" in result.err and "--data" in result.err
    for wrong in ((), ("--back", played.release)):
        assert cli("upgrade", *wrong).code == 2
    assert played.done == []


@pytest.mark.parametrize("more", [["--check"], ["--yes"]])
def test_a_node_that_shares_its_state_is_upgraded_otherwise(cli, played, tmp_path, more) -> None:
    """It is told before anything is installed, and not once the backup is refused."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / SHARED).touch()
    arguments = [played.release, "--key", PUBLIC, "--data", str(tmp_path / "data"), *more]
    result = cli("upgrade", *arguments)
    assert result.code == 1 and not played.done
    assert "shares its state" in result.err and "casemate nodes drain" in result.err


def test_the_release_is_taken(cli, played, tmp_path) -> None:
    data = str(tmp_path / "data")
    result = cli("upgrade", played.release, "--key", PUBLIC, "--yes", "--data", data, "--json")
    assert result.code == 0 and json.loads(result.out)["version"] == "9.0.0"
    [(version, rest)] = played.done
    assert version == "9.0.0" and rest["data"] == Path(data)
    assert rest["backup"] == tmp_path / versions.FOLDER / "before-9.0.0.tar"
    assert rest["master_key"].startswith("file:")


def test_a_run_that_was_killed_after_the_switch_goes_on(cli, played) -> None:
    played.running = State(version="0.0.1", prefix="/x", serving=True)
    result = cli("upgrade", played.own, "--key", PUBLIC, "--yes")
    assert result.code == 0 and played.done == [__version__]
    result = cli("upgrade", played.release, "--key", PUBLIC, "--yes")
    assert result.code == 2 and "The node runs 0.0.1" in result.err


def test_the_way_back_asks_and_says_what_is_lost(cli, played, monkeypatch) -> None:
    assert cli("upgrade", "--back").code == 2
    result = cli("upgrade", "--back", "--yes")
    assert result.code == 0 and played.done == [played.undo]
    # It does not answer as that version: none is said to run.
    assert "0.0.1 is what starts" in result.err and "is running" not in result.out + result.err
    played.running = State(version="0.0.1", prefix="/x", serving=True)
    assert "Casemate 0.0.1 is running" in cli("upgrade", "--back", "--yes").out
    played.running = None
    aside = Path("/aside")
    monkeypatch.setattr(upgrading, "go_back", lambda *_, **__: aside)
    result = cli("upgrade", "--back", "--yes", "--json")
    assert json.loads(result.out)["aside"] == "/aside" and "start it again" in result.err


def test_what_goes_wrong_is_said_with_what_to_do(cli, played, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UpgradeError("it did not come to serve", next_step="read the log")

    monkeypatch.setattr(upgrading, "upgrade", fail)
    result = cli("upgrade", played.release, "--key", PUBLIC, "--yes")
    assert (
        result.code == 1 and "did not come to serve" in result.err and "read the log" in result.err
    )
