"""Programs under the guard in a sandbox: what is counted, and how."""

import io
import json
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError

import pytest
from bench import guard_blind, guard_blind_node
from bench.errors import BenchError
from bench.figures import wilson
from bench.guard_blind_programs import Case

_PAGE = """
def handler(event, context):
    if event.get("checked"):
        raise ValueError("refused")
    page = "<p>" + event["v"] + "</p>"
    return {"status": 200, "headers": {"content-type": "text/html"}, "body": page}
"""
_PRODUCT = """
import sqlite3, subprocess
db = sqlite3.connect(":memory:")
db.execute("create table t(n)")
async def handler(event, context):
    if "run" in event:
        command = "echo " + event["run"]
        return subprocess.run(command, shell=True, capture_output=True, text=True).stdout
    return db.execute("select n from t where n = '%s'" % event["v"]).fetchall()
"""


def _program(folder: Path, name: str, code: str, told: dict[str, object]) -> None:
    (folder / name).mkdir()
    (folder / name / "handler.py").write_text(code)
    (folder / name / "cases.json").write_text(json.dumps(told))


def _case(kind: str, **event: str) -> dict[str, object]:
    return {"event": event, "kind": kind, "why": "as it says"}


def test_programs_are_run_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard_blind, "PEERS", tmp_path / "peers")
    programs = tmp_path / "programs"
    programs.mkdir()
    page = [
        _case("attack", v="<script>alert(1)</script>"),
        _case("attack", v="<script>alert(1)</script>", checked="1"),
        _case("harmless", v="Ada"),
        _case("harmless", v="<b>"),
    ]
    _program(programs, "page", _PAGE, {"sink": "response", "cases": page})
    product = [
        _case("attack", v="' or 1=1 --"),
        _case("attack", run="a; id"),
        _case("harmless", v="O Hara"),
        _case("harmless", run="hello"),
    ]
    _program(programs, "product", _PRODUCT, {"sink": "sql", "cases": product})
    told = {"sink": "code", "requires": [], "cases": [_case("attack", v="1")]}
    _program(programs, "torn", "import not_there", told)
    assert guard_blind.main([str(programs)]) == 0
    out = capsys.readouterr().out
    assert "| response | 2 | 1 | 2 | 1 |" in out
    assert "| sql | 2 | 2 | 2 | 0 |" in out
    assert "attacks stopped: 3 of 4, 75.00%" in out
    # An attack that fails by an error was not stopped by the guard.
    assert "- missed: page 2 (response): as it says\n  handler-error" in out
    assert "- refused: page 4 (response): as it says\n  blocked, without the guard ok" in out
    assert "could not be run, not counted: torn: ModuleNotFoundError" in out
    assert "answers otherwise" not in out


def test_what_answers_otherwise_by_itself_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guard_blind, "PEERS", tmp_path / "peers")
    programs = tmp_path / "programs"
    programs.mkdir()
    told = {"sink": "sql", "requires": [], "cases": [_case("harmless", v="1")]}
    by_itself = "import os\ndef handler(event, context):\n    return os.urandom(8).hex()\n"
    by_guard = "import csv\ndef handler(event, context):\n    return type(csv.writer).__name__\n"
    _program(programs, "alone", by_itself, told)
    _program(programs, "guarded", by_guard, told)
    assert guard_blind.main([str(programs)]) == 0
    out = capsys.readouterr().out
    assert "answers otherwise than without the guard: guarded 1" in out
    assert "guard: alone" not in out


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"cases": [_case("attack")]}, "KeyError: 'sink'"),
        ({"sink": "sql", "cases": []}, "it has no cases"),
        ({"sink": "sql", "cases": [_case("odd")]}, "the kind 'odd' is neither"),
        (
            {"sink": "sql", "requires": ["-r/etc"], "cases": [_case("attack")]},
            "is no name of a package",
        ),
        (
            {"sink": "sql", "requires": [".."], "cases": [_case("attack")]},
            "is no name of a package",
        ),
    ],
)
def test_what_is_no_program_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], told: dict[str, object], message: str
) -> None:
    _program(tmp_path, "odd", "", told)
    assert guard_blind.main([str(tmp_path)]) == 1
    assert message in capsys.readouterr().err


def test_nothing_to_run_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        guard_blind.main([str(tmp_path)])
    assert ended.value.code == 2


def test_interval_of_a_share() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(29, 29) == pytest.approx((0.8830, 1.0), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_what_calls_of_a_node_came_to_is_told() -> None:
    def case(kind: str, number: int) -> Case:
        return Case(program="p", number=number, sink="sql", kind=kind, why="why", event={})

    found = [
        (case("attack", 1), "blocked", "changes a statement"),
        (case("attack", 2), "ok", ""),
        (case("harmless", 3), "ok", ""),
        (case("harmless", 4), "blocked", "sql could not be checked"),
        (case("harmless", 5), "handler-error", ""),
    ]
    told = guard_blind_node.report(found, 2)
    assert "| attack | blocked | 1 |" in told
    assert "2 programs need packages" in told
    assert "- answered: p 2 (sql): why" in told
    assert "- refused: p 4 (sql): sql could not be checked" in told
    assert "- could not be checked: p 4" in told
    assert "p 1" not in told
    assert "p 5" not in told


def test_a_call_that_left_no_record_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run ended by a trace, without what it had found until then."""

    class Node:
        def endpoint(self, name: str, project: str) -> object:
            return SimpleNamespace(url="http://127.0.0.1:9/", headers={})

        def read(self, *words: str) -> dict[str, list[dict[str, str]]]:
            if "gone" in words:
                raise BenchError("There is no invocation gone.")
            return {"invocations": [] if "empty" in words else [{"outcome": "handler-error"}]}

    def answered(identity: str, code: int = 500) -> None:
        headers = Message()
        if identity:
            headers["x-request-id"] = identity

        def urlopen(*_: object, **__: object) -> None:
            if code == 0:
                raise TimeoutError
            raise HTTPError("http://127.0.0.1:9/", code, "", headers, io.BytesIO(b"{}"))

        monkeypatch.setattr(guard_blind_node.urllib.request, "urlopen", urlopen)

    monkeypatch.setattr(guard_blind_node, "_LOOK_SECONDS", 0.0)
    said = []
    for identity, code in (("gone", 500), ("empty", 429), ("", 502), ("", 0)):
        answered(identity, code)
        outcome, why = guard_blind_node._ended(Node(), "f1", {})  # type: ignore[arg-type]
        assert outcome == guard_blind_node.NO_RECORD
        said.append(why)
    assert said == [
        "answered 500 as gone",
        "answered 429 as empty",
        "answered 502 without an id",
        "no answer: TimeoutError",
    ]
    answered("kept")
    assert guard_blind_node._ended(Node(), "f1", {}) == ("handler-error", "")  # type: ignore[arg-type]
    case = Case(program="p", number=3, kind="attack", sink="sql", why="it says so", event={})
    told = guard_blind_node.report([(case, guard_blind_node.NO_RECORD, said[0])], 0)
    assert "- no record: p 3 (sql): answered 500 as gone" in told
