"""What runs handlers under the guard for other tests has nothing of one for the next."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from support import guard_cases, guard_server

TEMPORARY = "import tempfile\nreturn tempfile.gettempdir()"


def ran(folder: Path, code: str, **options: str) -> guard_cases.Guarded:
    folder.mkdir(exist_ok=True)
    return guard_cases.run(folder, {"one": (code, {"v": "x"})}, ("tempfile",), **options)["one"]


def test_temporary_files_are_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ran(tmp_path, TEMPORARY).result
    for name in ("first", "second"):
        own = tmp_path / name
        own.mkdir()
        monkeypatch.setenv("TMPDIR", str(own))
        assert ran(tmp_path, TEMPORARY).result == repr(str(own))
    monkeypatch.undo()
    assert ran(tmp_path, TEMPORARY).result == usual == repr(tempfile.gettempdir())


def test_another_folder_for_them_takes_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(tmp_path, TEMPORARY)
    before = list(guard_server._servers.values())[-1]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ran(tmp_path, TEMPORARY)
    assert list(guard_server._servers.values())[-1] is before


def test_another_variable_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os\nreturn os.environ.get('OF_A_TEST')"
    assert ran(tmp_path, code).result == "None"
    monkeypatch.setenv("OF_A_TEST", "yes")
    assert ran(tmp_path, code).result == "'yes'"
    monkeypatch.undo()
    assert ran(tmp_path, code).result == "None"


def test_each_handler_has_its_own_modules_and_is_rewritten(tmp_path: Path) -> None:
    statement = "import sqlite3, named\nbase = sqlite3.connect(':memory:')\n"
    statement += "return base.execute(f\"select '{event['v']}', '{named.NAME}'\").fetchall()"
    for name in ("first", "second"):
        (tmp_path / name / "case0").mkdir(parents=True)
        (tmp_path / name / "case0" / "named.py").write_text(f"NAME = {name!r}\n")
        assert ran(tmp_path / name, statement).result == repr([("x", name)])
        hostile = {"one": (statement, {"v": "x' || 'y"})}
        assert guard_cases.run(tmp_path / name, hostile)["one"].outcome == "blocked"
    assert "No module named 'named'" in ran(tmp_path / "third", statement).result


def test_without_the_guard_nothing_is_stopped(tmp_path: Path) -> None:
    hostile = "import sqlite3\nreturn sqlite3.connect(':memory:').execute(event['v']).fetchall()"
    cases = {"one": (hostile, {"v": "select 1"})}
    assert guard_cases.run(tmp_path, cases)["one"].outcome == "blocked"
    assert guard_cases.run(tmp_path, cases, guard="off")["one"].result == "[(1,)]"
    assert guard_cases.run(tmp_path, cases)["one"].outcome == "blocked"
