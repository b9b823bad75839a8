import contextlib
import sys
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.manifest.folder import ProjectFolder
from casemate.manifest.handlers import MAX_SOURCE, check_handler
from casemate.manifest.rejection import RejectedValueError

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def check(root, handler="app:handler", source=".", python=HERE):
    check_handler(ProjectFolder(root), source, handler, python)


def rejected(root, handler="app:handler", source=".", python=HERE):
    with pytest.raises(RejectedValueError) as caught:
        check(root, handler, source, python)
    return f"{caught.value.found}, expected {caught.value.expected}"


@pytest.mark.parametrize(
    "code",
    [
        "def handler(event, context): ...",
        "async def handler(event, context): ...",
        "class handler: ...",
        "handler = lambda e, c: e",
        "handler: object = print",
        "a, (b, *handler) = 1, (2, 3)",
        "import handler",
        "import handler.sub",
        "import x as handler",
        "from x import handler",
        "from . import y as handler",
        "from x import *",
        "if 1:\n  def handler(): ...",
        "try:\n  import x\nexcept ImportError:\n  pass\nelse:\n  from x import handler",
        "with open('x') as handler: ...",
        "for handler in (): ...",
        "while (handler := 1): break",
        "match 1:\n  case handler: ...",
        "match {}:\n  case {**handler}: ...",
        "match []:\n  case [*handler]: ...",
        "try: ...\nexcept E as handler: ...",
        "def f():\n  global handler\n  handler = 1\nf()",
        "globals()['handler'] = print",
        "exec('handler = print')",
        "import sys\nsetattr(sys.modules[__name__], 'handler', print)",
        "import sys\nsys.modules[__name__].__dict__['handler'] = print",
        "def __getattr__(name): ...",
        "# -*- coding: latin-1 -*-\nhandler = '\xe9'",
    ],
)
def test_code_that_defines_or_may_define_it_is_accepted(tmp_path, code):
    (tmp_path / "app.py").write_bytes(code.encode("latin-1"))
    check(tmp_path)


@pytest.mark.parametrize(
    "code",
    [
        "",
        "def other(): ...",
        "def outer():\n  def handler(): ...",
        "class C:\n  def handler(self): ...",
        "handler: object",
        "print(handler)",
        "x.handler = 1",
        "import x.handler",
        "'''\ndef handler(): ...\n'''",
    ],
)
def test_code_that_surely_does_not_define_it_is_rejected(tmp_path, code):
    (tmp_path / "app.py").write_text(code)
    assert "app defines no handler" in rejected(tmp_path)


def test_a_misspelt_function_is_suggested(tmp_path):
    (tmp_path / "app.py").write_text("def handler(): ...")
    assert 'did you mean "handler"?' in rejected(tmp_path, "app:handlr")


def test_a_missing_module_is_told_with_its_path(tmp_path):
    (tmp_path / "src").mkdir()
    assert "src/a/b.py or a package src/a/b/__init__.py" in rejected(tmp_path, "a.b:f", "src")
    assert "a module app.py or" in rejected(tmp_path)


def test_packages_and_submodules(tmp_path):
    (tmp_path / "pack" / "inner").mkdir(parents=True)
    (tmp_path / "pack" / "__init__.py").write_text("def f(): ...")
    (tmp_path / "pack.py").write_text("def other(): ...")
    (tmp_path / "pack" / "mod.py").write_text("def g(): ...")
    check(tmp_path, "pack:f")
    check(tmp_path, "pack.mod:g")
    assert "defines no other" in rejected(tmp_path, "pack:other")
    assert "no such file" in rejected(tmp_path, "pack.inner:f")


@pytest.mark.parametrize("name", ["app.so", "app.cpython-313-x86_64-linux-gnu.so", "app.pyc"])
def test_a_compiled_module_is_accepted(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x7fELF")
    check(tmp_path)


def test_a_module_that_leads_out_of_the_project_is_rejected(tmp_path):
    root = tmp_path / "shop"
    root.mkdir()
    (tmp_path / "secret.py").write_text("def handler(): ...")
    (root / "app.py").symlink_to("../secret.py")
    (root / "up").symlink_to("..")
    assert "out of the project" in rejected(root)
    assert "out of the project" in rejected(root, "up.secret:handler")


def test_a_module_named_like_one_of_the_standard_library_is_rejected(tmp_path):
    (tmp_path / "json.py").write_text("def handler(): ...")
    assert "standard library" in rejected(tmp_path, "json:handler")


def test_a_syntax_error_is_told_where_the_syntax_is_known(tmp_path):
    (tmp_path / "app.py").write_text("x = 1\ndef handler(:\n")
    assert "a syntax error on line 2 of app.py" in rejected(tmp_path)
    check(tmp_path, python="3.99")


@pytest.mark.parametrize(
    "code",
    [
        b"handler = 1\0",
        b"# coding: nonsense\n",
        b"(" * 5000,
        b"-" * 100_000 + b"1",
        b"\xff",
        b"x\n" * MAX_SOURCE,
    ],
    ids=range(6),
)
def test_hostile_modules_are_accepted_or_rejected_never_more(tmp_path, code):
    (tmp_path / "app.py").write_bytes(code)
    with contextlib.suppress(RejectedValueError):
        check(tmp_path)


def test_warnings_of_the_code_are_not_ours(tmp_path):
    (tmp_path / "app.py").write_text("handler = '\\d'\nx = 1 is 1\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(tmp_path)


@given(
    code=st.binary(max_size=60) | st.text("def handlr():\n =[]*#\"'", max_size=60).map(str.encode)
)
@settings(max_examples=150, deadline=None)
def test_any_module_is_accepted_or_rejected(tmp_path_factory, code):
    root = tmp_path_factory.getbasetemp() / "any-module"
    root.mkdir(exist_ok=True)
    (root / "app.py").write_bytes(code)
    try:
        check(root)
    except RejectedValueError as error:
        assert error.found.isprintable()


def test_a_file_in_another_language_is_no_module_that_is_missing(tmp_path):
    (tmp_path / "work.js").write_text("exports.handler = async () => 1\n")
    assert "functions are written in Python" in rejected(tmp_path, "work.js:handler")
    assert "functions are written in Python" in rejected(tmp_path, "work:handler")
    assert "no such file" in rejected(tmp_path, "other:handler")
