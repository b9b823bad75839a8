"""`casemate deps update --node`: which folders are looked at, and what comes of each project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from casemate.advisories import Severity
from casemate.cli import node_update
from casemate.cli.canary import Canary
from casemate.cli.errors import CommandError
from casemate.cli.lock_updates import Updated, Wish
from casemate.cli.watching import Result, Tried
from casemate.model.metrics import VersionMetrics
from casemate.model.vulnerability import LiveProblem
from casemate.operations.advisories import LiveHoles
from casemate.repair import Change, LockUpdate, Plan, Uncleared

MANIFEST = """\
[project]
name = "{project}"

[function.one]
handler = "app:handler"
requirements = "requirements.txt"
"""
DRY = Wish(newest=False, apply=False, test=None, replay=False, canary=None)
LIVE = DRY._replace(apply=True, canary=Canary(None, 60))


def make(folder: Path, project: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "casemate.toml").write_text(MANIFEST.format(project=project))
    (folder / "app.py").write_text("def handler(event, context):\n    return event\n")
    (folder / "requirements.txt").write_text("")
    return folder


def hole(project: str, function: str = "one", id: str = "GHSA-1") -> Any:
    return SimpleNamespace(project=project, function=function, hole=SimpleNamespace(id=id))


@pytest.fixture
def live(monkeypatch) -> list[Any]:
    """The holes that the node tells, to be filled."""
    holes: list[Any] = []

    @contextmanager
    def connect() -> Iterator[Any]:
        told = SimpleNamespace(judged_at=1.0, holes=tuple(holes), problems=())
        yield SimpleNamespace(call=lambda _: told)

    monkeypatch.setattr(node_update, "connect", connect)
    return holes


@pytest.fixture
def ends(monkeypatch) -> dict[str, Any]:
    """What comes of projects, by name: an error, or what was updated."""
    found: dict[str, Any] = {}

    def one(workspace: Any, _wish: Wish, *, json: bool) -> Updated:
        end = found[workspace.project.name]
        if isinstance(end, Exception):
            raise end
        return end  # type: ignore[no-any-return]

    monkeypatch.setattr(node_update, "_one", one)
    return found


def update(*, cleared: int = 0, stays: tuple[str, ...] = ()) -> Any:
    changed = Change(
        package="p",
        old="1",
        new="2",
        step=None,
        down=False,
        passed=1,
        clears=("GHSA-1",),
        why="",
    )
    left = [
        Uncleared(package="p", version="1", id=id, ids=(id,), severity=Severity.HIGH, reason="")
        for id in stays
    ]
    plan = Plan(changes=(changed,) * cleared, uncleared=tuple(left), versions={})
    return LockUpdate(requirements="requirements.txt", python="3.11", plan=plan)


def tried(result: Result) -> Tried:
    return Tried(
        function="shop/one",
        version=2,
        back=1,
        result=result,
        reason="12 of 20 calls failed",
        old=VersionMetrics(version=1),
        new=VersionMetrics(version=2),
    )


def run(folder: Path, wish: Wish, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = 0
    try:
        node_update.update_node(folder, wish, json=False)
    except Exception as error:
        code = getattr(error, "exit_code", 99)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def rows(out: str) -> dict[str, str]:
    return {line.split()[0]: line for line in out.splitlines() if "GHSA-" in line}


def test_one_that_fails_keeps_no_other_from_being_updated(
    tmp_path: Path, live, ends, capsys, home
) -> None:
    for name in ("alpha", "beta", "gamma", "delta"):
        make(tmp_path / "all" / name, name)
        live.append(hole(name))
    live.append(hole("elsewhere"))
    ends["alpha"] = CommandError("The tests do not pass.")
    ends["beta"] = Updated([update(cleared=1)], (), ["a.lock"], [tried(Result.PROMOTED)])
    ends["gamma"] = Updated([update(cleared=1)], (), [], [tried(Result.GONE_BACK)])
    ends["delta"] = Updated([update(stays=("GHSA-1",))])
    code, out, _ = run(tmp_path / "all", LIVE, capsys)
    found = rows(out)
    assert code == 1
    assert "failed" in found["alpha"] and "tests do not pass" in found["alpha"]
    assert "promoted" in found["beta"]
    assert "gone back" in found["gamma"] and "12 of 20" in found["gamma"]
    assert "stays" in found["delta"]
    assert "no folder" in found["elsewhere"]


def test_all_well_is_0_and_nothing_to_do_as_well(tmp_path: Path, live, ends, capsys, home) -> None:
    make(tmp_path / "all" / "beta", "beta")
    code, _, said = run(tmp_path / "all", LIVE, capsys)
    assert code == 0 and "No function of the node has known vulnerabilities" in said
    live.append(hole("beta"))
    ends["beta"] = Updated([update(cleared=1)], (), ["a.lock"], [tried(Result.PROMOTED)])
    assert run(tmp_path / "all", LIVE, capsys)[0] == 0
    ends["beta"] = Updated([update(cleared=1)])
    code, out, _ = run(tmp_path / "all", DRY, capsys)
    assert code == 1 and "would clear" in out
    ends["beta"] = Updated([update()])
    code, out, _ = run(tmp_path / "all", DRY, capsys)
    assert code == 1 and "casemate deploy" in out


def test_which_folders_are_looked_at(tmp_path: Path, live, ends, capsys, monkeypatch, home) -> None:
    root = tmp_path / "all"
    make(root / "a/b/c/deep", "deep")
    for hidden in (".git/x", "node_modules/x", "a/b/c/d/too-deep"):
        make(root / hidden, "hidden")
    (root / "link").symlink_to(make(tmp_path / "outside", "outside"))
    broken = make(root / "broken", "broken")
    (broken / "casemate.toml").write_text("[project\n")
    for name in ("deep", "hidden", "outside", "broken"):
        live.append(hole(name))
    ends["deep"] = Updated([update(cleared=1)], (), ["a.lock"])
    code, out, said = run(root, LIVE, capsys)
    found = rows(out)
    assert "cleared" in found["deep"] and code == 1
    for name in ("hidden", "outside", "broken"):
        assert "no folder" in found[name]
    assert "broken/casemate.toml is passed over" in said
    make(root / "twice", "deep")
    code, out, _ = run(root, LIVE, capsys)
    assert "more than one folder" in rows(out)["deep"]
    monkeypatch.setattr(node_update, "MAX_FOLDERS", 3)
    code, _, _ = run(root, LIVE, capsys)
    assert code == 2


def test_a_function_that_the_folder_has_not_is_told(tmp_path: Path, live, capsys, home) -> None:
    make(tmp_path / "all" / "shop", "shop")
    live.append(hole("shop", "gone"))
    code, out, _ = run(tmp_path / "all", LIVE, capsys)
    assert code == 1 and "has no function 'gone'" in rows(out)["shop"]


def test_what_could_not_be_judged_is_not_well(tmp_path: Path, capsys, monkeypatch, home) -> None:
    problem = LiveProblem(project="shop", function="one", problem="advisories are old")
    told = LiveHoles(judged_at=None, holes=(), problems=(problem,))

    @contextmanager
    def connect() -> Iterator[Any]:
        yield SimpleNamespace(call=lambda _: told)

    monkeypatch.setattr(node_update, "connect", connect)
    code, _, said = run(tmp_path, LIVE, capsys)
    assert code == 1 and "shop/one could not be judged: advisories are old" in said


def test_for_programs(tmp_path: Path, live, ends, capsys, home) -> None:
    live.append(hole("elsewhere"))
    with pytest.raises(Exception) as ended:
        node_update.update_node(tmp_path, DRY, json=True)
    assert getattr(ended.value, "exit_code", None) == 1
    (one,) = json.loads(capsys.readouterr().out)["projects"]
    assert (one["project"], one["result"], one["folder"]) == ("elsewhere", "no-folder", None)
