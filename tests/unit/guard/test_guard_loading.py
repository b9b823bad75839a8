"""The function's own modules are rewritten, others are not; what the code holds is known."""

from __future__ import annotations

from pathlib import Path

from casemate.guard.constants import Constants
from support.guard import guarded


def test_own_modules_and_packages_are_loaded_rewritten(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("def join(a, b):\n    return f'{a}-{b}'\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "inner.py").write_text(
        "NAME = __name__\n"
        "def run(db, v):\n    return db.execute('SELECT ' + quoted(v))\n"
        'def quoted(v):\n    return "\'" + v + "\'"\n'
    )
    code = """
import sqlite3
from package import inner
import helper

def handler(event, context):
    if event["how"] == "helper":
        return sqlite3.connect(":memory:").execute(helper.join("SELECT 1 ", event["v"]))
    return inner.run(sqlite3.connect(":memory:"), event["v"])
"""
    events = [
        {"how": "inner", "v": "'"},
        {"how": "inner", "v": "x"},
        {"how": "inner", "v": "' || '"},
        {"how": "helper", "v": "- 1; --"},
    ]
    answers = guarded(tmp_path, code, events)
    assert [a.outcome for a in answers] == ["blocked", "ok", "blocked", "blocked"]
    assert answers[0].records[0]["place"] == "package/inner.py:3"
    assert answers[0].records[0]["location"] == "package.inner:run"


def test_a_module_with_a_mistake_says_so_as_ever(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text("x = f'{'\n")
    code = """
def handler(event, context):
    try:
        import wrong
    except SyntaxError as error:
        return (error.filename.endswith("wrong.py"), error.lineno, error.__context__)
"""
    (answer,) = guarded(tmp_path, code, [{}])
    assert answer.result == "(True, 1, None)"


def test_source_in_another_encoding_is_read(tmp_path: Path) -> None:
    (tmp_path / "latin.py").write_bytes(
        b"# -*- coding: latin-1 -*-\nNAME = 'gr\xf6\xdfe' + str(1)\n"
    )
    code = "import latin\ndef handler(event, context):\n    return latin.NAME\n"
    (answer,) = guarded(tmp_path, code, [{}])
    assert answer.result == "'größe1'"


def test_tracebacks_and_sources_are_as_written(tmp_path: Path) -> None:
    code = """
import inspect

def fails(v):
    return f"{v}" + f"{1 / 0}{v}"

def handler(event, context):
    assert 'f"{1 / 0}{v}"' in inspect.getsource(fails)
    return fails(1)
"""
    (answer,) = guarded(tmp_path, code, [{}])
    assert "ZeroDivisionError" in answer.result
    assert 'return f"{v}" + f"{1 / 0}{v}"' in answer.trace
    assert ", line 5, in fails" in answer.trace


def test_constants_of_code_and_modules_are_known() -> None:
    constants = Constants()
    source = """
def f(a):
    '''doc'''
    if a in ("one", "two"):
        return lambda: {"three": b"four", frozenset(("five",)): other_name}
"""
    constants.add_code(compile(source, "x", "exec"))
    for text in ("one", "two", "three", "four", "five"):
        assert constants.holds(text)
    assert not constants.holds("doc"), "a docstring is said to people"
    assert constants.holds_word("Other_Name")
    assert not constants.holds("other_name")
    assert not constants.holds("six")


def test_values_of_modules_are_known() -> None:
    import enum
    from types import ModuleType

    module = ModuleType("mine")
    module.NESTED = {"key": ["deep", ("deeper", {"deepest"})]}  # type: ignore[attr-defined]
    color = enum.Enum("color", {"RED": "crimson"}, module="mine")
    module.Color = color  # type: ignore[attr-defined]
    loop: list[object] = []
    loop.append(loop)
    module.LOOP = loop  # type: ignore[attr-defined]
    constants = Constants()
    constants.add_module(module)
    for text in ("key", "deep", "deeper", "deepest", "crimson"):
        assert constants.holds(text), text


def test_the_source_of_the_code_can_be_shown_and_is_no_file_that_an_event_chooses(
    tmp_path: Path,
) -> None:
    code = """
import inspect, linecache

def handler(event, context):
    linecache.clearcache()
    if event["how"] == "source":
        return inspect.getsource(handler).splitlines()[0]
    return linecache.getline(event["file"], 2)
"""
    file = str(tmp_path / "app.py")
    events = [{"how": "source", "file": file}, {"how": "line", "file": file}]
    answers = guarded(tmp_path, code, events)
    assert [a.outcome for a in answers] == ["ok", "blocked"]
