"""The function's own code is also kept as the sink guard rewrites it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import casemate.guard
from casemate.build.bubblewrap import Mount, run_step
from casemate.build.compile import cached_path, compile_tree
from casemate.build.interpreters import Interpreter
from casemate.build.tree import hash_file
from casemate.guard.bytecode import VERSION, kept_path
from casemate.model.bundle import BundleFile

pytestmark = pytest.mark.sandbox

LONG = "n" * 225
CODE = {
    "app.py": "def handler(event, context):\n    return f'Hello {event}', 'a' + event[1:]\n",
    "package/__init__.py": "'''doc'''\n",
    "package/a-b.c.py": "x = 'a' + __name__\ny = frozenset(['x', 'y', x])\n",
    "package/deep.py": "a = 'a'\nx = a" + " + a" * 600 + "\n",
    "latin.py": "# -*- coding: latin-1 -*-\nNAME = 'größe' + str(1)\n",
    "annotated.py": "x: 'int' = 1\nx_list = [1]\nx_list[0:1] = [2]\n",
    f"{LONG}.py": "x = 'a' + __name__\n",
    "data.txt": "no code",
}
WITHOUT = {"package/deep.py", f"{LONG}.py", "data.txt"}
"""One cannot be rewritten, one's rewritten form would have too long a name."""


def tree(root: Path) -> list[BundleFile]:
    for path, text in CODE.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text.encode("latin-1" if path == "latin.py" else "utf-8"))
    return [hash_file(root, path) for path in sorted(CODE)]


def compiled(interpreter: Interpreter, base: Path, *, own: bool = True) -> dict[str, BundleFile]:
    files = tree(base / "code")
    (base / "work").mkdir()
    added, failures = compile_tree(
        base / "code", "code", files, interpreter, work=base / "work", own=own
    )
    assert failures == ()
    return {file.path: file for file in added}


LOADING = """
import ast, sys
sys.path[:0] = ["/function/code", "/casemate"]
from casemate.guard import core, loading, provenance
guard = core.Guard()
loading.load_rewritten(guard)
def parse(*given, **named): raise SystemExit("parsed")
ast.parse = parse
import app, latin, package
print(ascii(app.handler("event", None)), ascii(latin.NAME))
print(guard.constants.holds("Hello "), "__casemate_note__" in app.handler.__code__.co_names)
import package.deep
"""


def loaded(interpreter: Interpreter, code: Path) -> list[str]:
    """Load the compiled code as a zygote would, where nothing can be parsed."""
    done = run_step(
        interpreter,
        [str(interpreter.path), "-I", "-S", "-B", "-c", LOADING],
        mounts=[
            Mount(host=code, inside="/function/code"),
            Mount(host=Path(casemate.guard.__file__).parent, inside="/casemate/casemate/guard"),
        ],
        environment={},
        folder="/function/code",
        network=False,
        timeout=20,
    )
    return [*done.output.splitlines(), done.errors.strip()]


def test_every_interpreter_rewrites_for_itself_and_repeats(
    interpreters: tuple[Interpreter, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for interpreter in interpreters:
        base = tmp_path / interpreter.minor
        first = compiled(interpreter, base / "one")
        plain = compiled(interpreter, base / "plain", own=False)
        tag = interpreter.cache_tag
        assert set(plain) == {cached_path(p, tag) for p in CODE if p.endswith(".py")}
        assert set(first) - set(plain) == {
            kept_path(cached_path(p, tag)) for p in CODE if p not in WITHOUT
        }
        assert plain.items() <= first.items(), "the plain form is what it is without"
        name = kept_path(cached_path("app.py", tag))
        assert name == f"__pycache__/app.{tag}.casemate-{VERSION}.pyc"
        kept = base / "one/code" / name
        data = kept.read_bytes()
        assert data[4:8] == b"\x01\0\0\0", "unchecked, hash-based (PEP 552)"
        assert b"__casemate_note__" in data and b"/function/code/app.py" in data
        assert str(tmp_path).encode() not in data
        assert kept.stat().st_mode & 0o777 == 0o644
        assert loaded(interpreter, base / "one/code") == [
            r"('Hello event', 'avent') 'gr\xf6\xdfe1'",
            "True True",
            "parsed",
        ], "what was not kept is rewritten when it is loaded"
        # The same from a platform that is elsewhere and was never compiled.
        with monkeypatch.context() as patch:
            guard = base / "elsewhere/guard"
            shutil.copytree(
                Path(casemate.guard.__file__).parent,
                guard,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
            patch.setattr("casemate.guard.__file__", str(guard / "__init__.py"))
            assert compiled(interpreter, base / "two") == first


def test_a_platform_that_was_replaced_meanwhile_keeps_nothing(
    interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casemate.build.compile.VERSION", "0" * 16)
    added = compiled(interpreter, tmp_path)
    assert set(added) == {cached_path(p, interpreter.cache_tag) for p in CODE if p.endswith(".py")}


def test_modules_of_the_code_are_not_imported_by_what_rewrites_it(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    root = tmp_path / "code"
    for name in ("ast.py", "copy.py", "hashlib.py", "casemate/__init__.py", "casemate/guard.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("raise SystemExit(9)\n")
    files = [hash_file(root, str(p.relative_to(root))) for p in sorted(root.rglob("*.py"))]
    (tmp_path / "work").mkdir()
    added, failures = compile_tree(
        root, "code", files, interpreter, work=tmp_path / "work", own=True
    )
    assert (len(added), failures) == (10, ())
