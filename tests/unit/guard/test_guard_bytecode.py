"""The rewritten code that the build kept is what the loader takes, unless something is wrong."""

from __future__ import annotations

import ast
import importlib.util
import marshal
from pathlib import Path

import pytest

from casemate.guard import bytecode, loading, rewriting
from casemate.guard.core import Guard
from support.guard import Guarded, guarded

HELPER = 'def quoted(v):\n    return "\'" + v + "\'"\n'
APP = """
import ast
import importlib
import sqlite3

REWRITTEN = []  # modules that are parsed from here on
parse = ast.parse
ast.parse = lambda *given, **named: (REWRITTEN.extend(given[1:2]), parse(*given, **named))[1]
import helper

def handler(event, context):
    if event.get("late"):
        if event["late"] not in ("late", "other"):
            raise ValueError
        return importlib.import_module(event["late"]).NAME, len(REWRITTEN)
    found = sqlite3.connect(":memory:").execute("SELECT " + helper.quoted(event["v"])).fetchone()
    return found, len(REWRITTEN)
"""
EVENTS = [
    {"v": "Ada"},
    {"v": "' || '"},
    {"v": "'"},
    {"v": "x' UNION SELECT 1 --"},
    {"late": "late"},
]


def kept(source: Path) -> Path:
    return Path(bytecode.kept_path(importlib.util.cache_from_source(str(source))))


def keep(source: Path, named: str | None = None) -> Path:
    """Write what the build would keep for a source file; return where."""
    data = source.read_bytes()
    code = rewriting.compile_rewritten(data, named or str(source))
    assert code is not None
    path = kept(source)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytecode.encode(code, data))
    return path


def answers(folder: Path) -> list[Guarded]:
    return guarded(folder, APP, EVENTS)


def test_the_guard_decides_the_same_with_and_without_the_file(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(HELPER)
    (tmp_path / "late.py").write_text("NAME = 'late' + str(__name__)\n")
    without = answers(tmp_path)
    for name in ("helper", "late"):
        keep(tmp_path / f"{name}.py")
    with_file = answers(tmp_path)
    assert [a.outcome for a in without] == ["ok", "blocked", "blocked", "blocked", "ok"]
    assert [(a.outcome, a.records) for a in with_file] == [(a.outcome, a.records) for a in without]
    assert [a.result for a in without if a.outcome == "ok"] == ["(('Ada',), 1)", "('latelate', 2)"]
    assert [a.result for a in with_file if a.outcome == "ok"] == [
        "(('Ada',), 0)",
        "('latelate', 0)",
    ]


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    plain = compile(HELPER, str(path), "exec")
    changed = {
        "empty": b"",
        "head alone": data[:16],
        "truncated": data[:-20],
        "nonsense": data[:16] + b"\xff" * 100,
        "magic number": b"\0\0\0\0" + data[4:],
        "flags": data[:4] + b"\xff\0\0\0" + data[8:],
        "no code": data[:16] + marshal.dumps("text"),
        "huge": data[:16] + b"\xf3\xff\xff\xff\x7f" * 4,
        "another file's": data[:16] + marshal.dumps(plain),
    }
    path.write_bytes(changed[how])


DAMAGES = (
    *("empty", "head alone", "truncated", "nonsense", "magic number", "flags", "no code", "huge"),
    "another file's",
)


def test_what_is_wrong_with_the_file_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "helper.py"
    source.write_text(HELPER)
    assert bytecode.read_kept("helper", str(source)) is None, "there is none"
    for how in DAMAGES:
        damaged(keep(source), how)
        assert bytecode.read_kept("helper", str(source)) is None, how
    kept(source).unlink()
    kept(source).mkdir()
    assert bytecode.read_kept("helper", str(source)) is None, "a folder"
    kept(source).rmdir()
    keep(source)
    code = bytecode.read_kept("helper", str(source))
    assert code is not None and code.co_filename == str(source)


@pytest.mark.parametrize("how", ["truncated", "another file's", "another release's"])
def test_a_file_that_cannot_be_used_leaves_nothing_unguarded(tmp_path: Path, how: str) -> None:
    source = tmp_path / "helper.py"
    source.write_text(HELPER)
    path = keep(source)
    plain = compile(HELPER, str(source), "exec")
    Path(importlib.util.cache_from_source(str(source))).write_bytes(
        bytecode.encode(plain, HELPER.encode())
    )
    if how == "another release's":
        path.write_bytes(bytecode.encode(plain, HELPER.encode()))
        path.rename(path.with_name(path.name.replace(bytecode.VERSION, "0" * 16)))
    else:
        damaged(path, how)
    outcomes = [a.outcome for a in answers(tmp_path)]
    assert outcomes == ["ok", "blocked", "blocked", "blocked", "error"]


def test_the_loader_takes_it_without_parsing_and_knows_its_constants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "own_module.py"
    source.write_text("def f(a):\n    return 'a known text' + a\n")
    keep(source)
    guard = Guard(str(tmp_path))
    loader = type("OwnCodeLoader", (loading.Loader,), {"guard": guard})

    def parse(*_: object) -> ast.AST:
        raise AssertionError("parsed")

    monkeypatch.setattr(ast, "parse", parse)
    code = loader("own_module", str(source)).get_code("own_module")
    assert guard.constants.holds("a known text")
    assert any("__casemate_add__" in c.co_names for c in code.co_consts if hasattr(c, "co_names"))
    kept(source).unlink()
    with pytest.raises(AssertionError, match="parsed"):
        loader("own_module", str(source)).get_code("own_module")


def test_the_name_tells_of_every_source_of_the_rewriting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(bytecode.__file__).parent
    names = bytecode.DEPENDS_ON
    for name in names:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setattr(bytecode, "__file__", str(tmp_path / "bytecode.py"))
    seen = {bytecode._version()}
    assert seen == {bytecode.VERSION}
    for name in names:
        with (tmp_path / name).open("a") as file:
            file.write("#")
        seen.add(bytecode._version())
    assert len(seen) == len(names) + 1
    imported = {
        node.module
        for name in names
        for node in ast.walk(ast.parse((folder / name).read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    }
    missing = {f"{module}.py" for module in imported} - set(names)
    assert missing == set(), "what the rewriting depends on has to be in its version"
