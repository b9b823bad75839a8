from __future__ import annotations

import marshal
import os
from pathlib import Path

import pytest

from casemate.build.compile import cached_path, compile_tree, raise_syntax_errors
from casemate.build.errors import BuildError, CodeSyntaxError
from casemate.build.interpreters import Interpreter
from casemate.build.tree import hash_file
from casemate.model.bundle import BundleFile

pytestmark = pytest.mark.sandbox

CODE = {
    "app.py": "NAMES = {'a', 'b', None, 1.5}\ndef handler(event, context):\n    assert event\n",
    "package/__init__.py": "'''doc'''\n",
    "package/a-b.c.py": "x = frozenset(['x', 'y'])\n",
    "data.txt": "no code",
}


def tree(root: Path, files: dict[str, str]) -> list[BundleFile]:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return [hash_file(root, path) for path in sorted(files)]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir(mode=0o700)
    return tmp_path / "work"


def test_every_interpreter_compiles_for_itself_and_repeats(
    interpreters: tuple[Interpreter, ...], tmp_path: Path
) -> None:
    for interpreter in interpreters:
        results = []
        for name in ("one", "two"):
            base = tmp_path / interpreter.minor / name
            files = tree(base / "code", CODE)
            (base / "work").mkdir()
            added, failures = compile_tree(
                base / "code", "code", files, interpreter, work=base / "work"
            )
            assert failures == ()
            results.append(added)
        assert results[0] == results[1]
        assert {f.path for f in added} == {
            cached_path(p, interpreter.cache_tag) for p in CODE if p.endswith(".py")
        }
        compiled = base / "code" / cached_path("app.py", interpreter.cache_tag)
        data = compiled.read_bytes()
        assert data[4:8] == b"\x01\0\0\0", "unchecked, hash-based (PEP 552)"
        assert b"/function/code/app.py" in data
        assert str(tmp_path).encode() not in data
        assert compiled.stat().st_mode & 0o777 == 0o644


def test_errors_name_file_and_line(interpreter: Interpreter, tmp_path: Path, work: Path) -> None:
    bad = {
        "good.py": "x = 1\n",
        "bad.py": "x = 1\n\ndef f(:\n",
        "nul.py": "x = '\0'\n",
        "latin.py": "",
        "deep.py": "(" * 5000 + ")" * 5000,
    }
    files = tree(tmp_path / "code", bad)
    (tmp_path / "code/latin.py").write_bytes(b"x = '\xe9'\n")
    added, failures = compile_tree(tmp_path / "code", "code", files, interpreter, work=work)
    assert [f.path for f in added] == [cached_path("good.py", interpreter.cache_tag)]
    assert {f.path for f in failures} == {"bad.py", "nul.py", "latin.py", "deep.py"}
    with pytest.raises(CodeSyntaxError, match=r"bad\.py, line 3: "):
        raise_syntax_errors(failures)
    raise_syntax_errors(())


def test_code_is_compiled_and_not_run(interpreter: Interpreter, tmp_path: Path, work: Path) -> None:
    files = tree(
        tmp_path / "code",
        {
            "json.py": "raise SystemExit(9)\n",
            "sitecustomize.py": "raise SystemExit(9)\n",
            "usercustomize.py": "raise SystemExit(9)\n",
            "x.pth": "import os; os._exit(9)\n",
        },
    )
    added, failures = compile_tree(tmp_path / "code", "code", files, interpreter, work=work)
    assert len(added) == 3
    assert failures == ()


def test_nothing_to_compile(interpreter: Interpreter, tmp_path: Path, work: Path) -> None:
    files = tree(tmp_path / "code", {"data.txt": ""})
    assert compile_tree(tmp_path / "code", "code", files, interpreter, work=work) == ((), ())


def test_a_compiler_that_dies_is_an_error(
    interpreter: Interpreter, tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    monkeypatch.setattr("casemate.build.compile.compile_script.__file__", str(script))
    files = tree(tmp_path / "code", {"a.py": ""})
    for text in ("import os; os.abort()", "print('[[7, 1, \"\"]]')", "print('nonsense')"):
        script.write_text(text)
        with pytest.raises(BuildError, match="without a result"):
            compile_tree(tmp_path / "code", "code", files, interpreter, work=work)
        (work / "compiled-code").rmdir()


def test_a_link_in_place_of_the_result_is_refused(
    interpreter: Interpreter, tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "script.py"
    script.write_text("import os; os.symlink('/etc/passwd', '/output/0.pyc'); print('[]')")
    monkeypatch.setattr("casemate.build.compile.compile_script.__file__", str(script))
    files = tree(tmp_path / "code", {"a.py": ""})
    with pytest.raises(BuildError):
        compile_tree(tmp_path / "code", "code", files, interpreter, work=work)
    assert sorted(os.listdir(tmp_path / "code")) == ["a.py"]


def test_the_result_is_what_python_loads(interpreters: tuple[Interpreter, ...], work: Path) -> None:
    import sys

    minor = f"{sys.version_info.major}.{sys.version_info.minor}"
    same = [i for i in interpreters if i.minor == minor]
    if not same:
        pytest.skip("this Python is not among those found")
    root = work / "code"
    files = tree(root, {"app.py": "ANSWER = 42\n"})
    compile_tree(root, "code", files, same[0], work=work)
    data = (root / cached_path("app.py", same[0].cache_tag)).read_bytes()
    scope: dict[str, int] = {}
    exec(marshal.loads(data[16:]), scope)
    assert scope["ANSWER"] == 42
