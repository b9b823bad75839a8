"""The stub says of a handler's names what the runner has; it is written over nothing but itself."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from casemate.cli.commands import stubs
from casemate.cli.errors import CommandError
from casemate.cli.stubs import STUB_PATH, stub_text, write_stub, writing
from casemate.runner import capabilities, channel, handlers, objects
from casemate.runner import context as runner_context
from casemate.runner import event as runner_event
from casemate.runner import trace as runner_trace

ROOT = Path(__file__).resolve().parents[3]
ONLY_TYPES = {"Log", "ObjectReader", "ObjectWriter", "Trace"}
OFFERED = {*(public.__name__ for public in capabilities.PUBLIC), "Context", "Event"}
PROTOCOLS = {"__enter__", "__exit__", "__iter__"}
Members = dict[str, tuple[str, ...]]


def classes_of(text: str) -> dict[str, ast.ClassDef]:
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}


RUNNER = {
    name: node
    for module in (capabilities, channel, objects, runner_context, runner_event, runner_trace)
    for name, node in classes_of(Path(module.__file__ or "").read_text()).items()
}
STUB = classes_of(stub_text())


def described(node: ast.FunctionDef) -> tuple[str, ...]:
    """Return all that a caller may rely on: parameters, defaults, annotations, meaning."""
    returned = ast.unparse(node.returns) if node.returns else ""
    kinds = [ast.unparse(decorator) for decorator in node.decorator_list]
    return (ast.unparse(node.args), returned, *kinds, ast.get_docstring(node) or "")


def methods(node: ast.ClassDef) -> Members:
    return {
        method.name: described(method)
        for method in node.body
        if isinstance(method, ast.FunctionDef)
        and (not method.name.startswith("_") or method.name in PROTOCOLS)
    }


def attributes_of_runner(node: ast.ClassDef) -> set[str]:
    """Return the names of public attributes: of fields, of the class, and set by `__init__`."""
    found = {t.id for s in node.body if isinstance(s, ast.Assign) for t in s.targets}  # type: ignore[attr-defined]
    found |= {s.target.id for s in node.body if isinstance(s, ast.AnnAssign)}  # type: ignore[attr-defined]
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            found |= {
                target.attr
                for target in ast.walk(method)
                if isinstance(target, ast.Attribute)
                and isinstance(target.ctx, ast.Store)
                and ast.unparse(target.value) == "self"
            }
    return {name for name in found if not name.startswith("_")}


def fields(node: ast.ClassDef) -> dict[str, str]:
    return {
        ast.unparse(s.target): ast.unparse(s.annotation)
        for s in node.body
        if isinstance(s, ast.AnnAssign)
    }


def test_it_has_the_names_that_a_handler_can_import_and_the_types_these_return() -> None:
    assert set(STUB) == OFFERED | ONLY_TYPES


def test_what_cannot_be_imported_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    marked = {
        name
        for name, node in STUB.items()
        if [ast.unparse(one) for one in node.decorator_list] == ["type_check_only"]
    }
    assert marked == ONLY_TYPES
    # What the zygote really offers. The names' module is put back, as other tests look at it.
    monkeypatch.setitem(sys.modules, "casemate", sys.modules["casemate"])
    for public in capabilities.PUBLIC:
        monkeypatch.setattr(public, "__module__", public.__module__)
    handlers.offer_names()
    offered = {name for name in vars(sys.modules["casemate"]) if not name.startswith("_")}
    assert offered == OFFERED


@pytest.mark.parametrize("name", sorted(STUB))
def test_a_class_is_as_the_runner_has_it(name: str) -> None:
    stub, real = STUB[name], RUNNER[name]
    assert [ast.unparse(base) for base in stub.bases] == [ast.unparse(base) for base in real.bases]
    assert ast.get_docstring(stub) == ast.get_docstring(real)
    assert methods(stub) == methods(real)
    assert set(fields(stub)) == attributes_of_runner(real)
    if "NamedTuple" in map(ast.unparse, real.bases):
        assert list(fields(stub).items()) == list(fields(real).items())


def test_only_the_error_that_tests_have_to_make_can_be_made() -> None:
    made = {
        name: ast.unparse(method.args)
        for name, node in STUB.items()
        for method in node.body
        if isinstance(method, ast.FunctionDef) and method.name == "__init__"
    }
    assert made == {"InvocationError": "self, message: str, status: int, error_id: str | None"}


def test_the_attributes_of_a_context_have_the_types_that_its_init_takes() -> None:
    (init,) = [m for m in RUNNER["Context"].body if getattr(m, "name", "") == "__init__"]
    assert isinstance(init, ast.FunctionDef)
    taken = {a.arg: ast.unparse(a.annotation) for a in init.args.kwonlyargs if a.annotation}
    del taken["channel"], taken["measures"]
    assert fields(STUB["Context"]) == taken


def mypy(folder: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """Check files as in a project without the platform: the stub is the only `casemate`."""
    (folder / "mypy.ini").write_text("[mypy]\nstrict = True\nmypy_path = typings\n")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--no-site-packages", "--no-incremental", *files],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_mypy_accepts_the_handlers_of_the_orders_example(tmp_path: Path) -> None:
    write_stub(tmp_path)
    done = mypy(tmp_path, *sorted((ROOT / "examples/orders/src").glob("*.py")))
    assert done.returncode == 0, done.stdout
    assert "5 source files" in done.stdout


def test_mypy_finds_the_mistakes_in_a_handler(tmp_path: Path) -> None:
    write_stub(tmp_path)
    handler = tmp_path / "app.py"
    handler.write_text(
        "from casemate import Context, ConflictError\n"
        "def handler(event: object, context: Context) -> str:\n"
        "    context.bucket('a').put('k', 7)\n"
        "    context.table('t').get()\n"
        "    context.queue('q').send({}, dedup='x')\n"
        "    context.topic('t').send({})\n"
        "    context.log.warn('x')\n"
        "    return context.secret_bytes('s')\n"
    )
    done = mypy(tmp_path, handler)
    wrong = [line.split(":")[1] for line in done.stdout.splitlines() if ": error:" in line]
    assert wrong == ["3", "4", "5", "6", "7", "8"], done.stdout


def call(*arguments: str) -> None:
    typer.main.get_command(stubs.app).main(list(arguments), standalone_mode=False)


def test_it_is_written_here_once_and_again_after_an_update(home, capsys) -> None:
    call()
    assert (home / STUB_PATH).read_text() == stub_text()
    assert (home / STUB_PATH).stat().st_mode & 0o111 == 0
    assert [path.name for path in (home / STUB_PATH).parent.iterdir()] == ["__init__.pyi"]
    assert "is written" in capsys.readouterr().out
    call("--json")
    assert json.loads(capsys.readouterr().out) == {"file": str(STUB_PATH), "changed": False}
    first = stub_text().partition("\n")[0]
    (home / STUB_PATH).write_text(f'{first}\n\nAn earlier version.\n"""\n')
    call(".", "--json")
    assert json.loads(capsys.readouterr().out)["changed"] is True
    assert (home / STUB_PATH).read_text() == stub_text()


@pytest.mark.parametrize("content", ["", "class Context: ...\n", '"""What a handler gets."""\n'])
def test_what_somebody_else_wrote_stays(tmp_path: Path, content: str) -> None:
    path = tmp_path / STUB_PATH
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(CommandError, match="not overwritten"):
        write_stub(tmp_path)
    assert path.read_text() == content


@pytest.mark.parametrize("link", ["typings", "typings/casemate", "typings/casemate/__init__.pyi"])
@pytest.mark.parametrize("dangling", [True, False])
def test_nothing_is_written_through_a_link(tmp_path: Path, link: str, dangling: bool) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    (project / link).parent.mkdir(parents=True)
    if not dangling:
        if link.endswith(".pyi"):
            outside.write_text(stub_text() + "# an earlier one\n")
        else:
            outside.mkdir()
    (project / link).symlink_to(outside)
    with pytest.raises(CommandError, match="symbolic link"):
        write_stub(project)
    assert (project / link).is_symlink()
    if dangling:
        assert not outside.exists()
    elif outside.is_dir():
        assert list(outside.iterdir()) == []
    else:
        assert outside.read_text().endswith("# an earlier one\n")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("nowhere", "file"):
        with pytest.raises(CommandError, match="is not a folder"):
            write_stub(tmp_path / name)
    (tmp_path / "typings").write_text("")
    with pytest.raises(CommandError, match="cannot be written"):
        write_stub(tmp_path)


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = write_stub(tmp_path)
    before = path.read_text() + "# an earlier one\n"
    path.write_text(before)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.Path, "replace", fail)
    with pytest.raises(CommandError, match="No space left"):
        write_stub(tmp_path)
    assert path.read_text() == before
    assert [one.name for one in path.parent.iterdir()] == ["__init__.pyi"]
