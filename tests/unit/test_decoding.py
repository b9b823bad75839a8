"""Types that several threads decode to for the first time, and numbers that are slow to decode."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

import casemate
from casemate.decoding import (
    DECODING_ERRORS,
    MAX_DIGITS,
    MAX_EXTREMES,
    decodable,
    has_long_number,
    has_many_extremes,
    is_slow_to_read,
    toml_of,
    without_texts,
)

_TOGETHER = """
import sys, threading, types
import msgspec
from casemate.decoding import decodable
sys.setswitchinterval(1e-6)
SOURCE = '''
from __future__ import annotations
import datetime
import msgspec
class Inner(msgspec.Struct):
    a: int
    b: datetime.date | None = None
class Middle(msgspec.Struct):
    a: int
    b: dict[str, Inner]
class Outer(msgspec.Struct):
    a: int
    b: dict[str, Middle]
'''
MIDDLE = {"a": 1, "b": {"x": {"a": 1, "b": "2020-01-01"}}}
for number in range(200):
    module = types.ModuleType(f"kinds{number}")
    sys.modules[module.__name__] = module
    exec(SOURCE, module.__dict__)
    together = threading.Barrier(4)
    def decode(values, kind):
        together.wait()
        msgspec.convert(values, decodable(kind), strict=False)
    asked = [({"a": 1, "b": {"x": MIDDLE}}, module.Outer), (MIDDLE, module.Middle)]
    threads = [threading.Thread(target=decode, args=each) for each in asked * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("whole")
"""
_PLAIN = {
    "dict",
    "list",
    "tuple",
    "set",
    "str",
    "int",
    "float",
    "bool",
    "bytes",
    "Any",
    "msgspec",
    "object",
}
"""Names of a type with nothing in it that msgspec collects anything of."""


def test_threads_may_decode_to_a_type_for_the_first_time_together() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TOGETHER], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr


def test_a_type_is_itself() -> None:
    assert decodable(list[int]) == list[int]
    assert decodable(int | str) == int | str


def test_a_type_that_cannot_be_decoded_to_is_refused_each_time() -> None:
    class Unknown(msgspec.Struct):
        part: NotThere  # type: ignore[name-defined]  # noqa: F821

    for _ in range(2):
        with pytest.raises(NameError):
            decodable(Unknown)


def _given(call: ast.Call) -> ast.expr | None:
    """Return the type that a call of msgspec is given, if it is one that collects."""
    name = ast.unparse(call.func)
    by_name = next((k.value for k in call.keywords if k.arg == "type"), None)
    if re.fullmatch(r"msgspec\.(json|msgpack|toml|yaml)\.decode", name):
        return by_name
    if name == "msgspec.convert":
        return call.args[1] if len(call.args) > 1 else by_name
    if re.fullmatch(r"msgspec\.(json|msgpack)\.Decoder", name):
        return call.args[0] if call.args else by_name
    return None


def test_within_functions_every_type_is_made_ready() -> None:
    """Nobody can tell of a function that only one thread will ever run it."""
    wrong: list[str] = []
    for path in sorted(Path(casemate.__file__).parent.rglob("*.py")):
        text = path.read_text()
        if "msgspec" not in text:
            continue
        for function in ast.walk(ast.parse(text)):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                continue
            for call in ast.walk(function):
                given = _given(call) if isinstance(call, ast.Call) else None
                if given is None or ast.unparse(given).startswith("decodable("):
                    continue
                names = {each.id for each in ast.walk(given) if isinstance(each, ast.Name)}
                if names - _PLAIN and path.name != "decoding.py":
                    wrong.append(f"{path.name}:{given.lineno}: {ast.unparse(given)}")
    assert not wrong, f"put into decodable(): {wrong}"


class _Named(msgspec.Struct):
    name: str = ""


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (msgspec.json.decode, b'{"x":' + b"[" * 30_000),
        (msgspec.json.decode, b"{"),
        (msgspec.json.decode, b'{"name":1}'),
        (msgspec.json.decode, b'{"name":"\xff"}'),
        (msgspec.msgpack.decode, b"\x81\xa1x" + b"\x91" * 30_000),
        (msgspec.msgpack.decode, b"\x81\xa4name\xa1\xff"),
        (msgspec.msgpack.decode, b"\xc1"),
    ],
)
def test_whatever_is_wrong_with_data_is_one_of_the_errors(decode: Any, data: bytes) -> None:
    with pytest.raises(DECODING_ERRORS):
        decode(data, type=_Named)


def _own_lists(tree: ast.Module) -> list[ast.expr]:
    """Return what else than DECODING_ERRORS names some of them: handlers, `suppress`, lists."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=ast.expr() as caught):
                found.append(caught)
            case ast.Call(func=ast.Name("suppress") | ast.Attribute(attr="suppress"), args=args):
                found.extend(args)
            case ast.Assign(value=ast.Tuple() as names) | ast.AnnAssign(value=ast.Tuple() as names):
                found.append(names)
    return found


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("try: ...\nexcept msgspec.MsgspecError: ...", True),
        ("try: ...\nexcept (OSError, msgspec.DecodeError, RecursionError): ...", True),
        ("with contextlib.suppress(msgspec.MsgspecError): ...", True),
        ("_NONE = (OSError, msgspec.MsgspecError)", True),
        ("try: msgspec.json.decode(x)\nexcept msgspec.ValidationError: ...", True),
        ("try: msgspec.convert(x, y)\nexcept msgspec.ValidationError: ...", False),
        ("try: ...\nexcept (OSError, *DECODING_ERRORS): ...", False),
    ],
)
def test_own_lists_of_the_errors_are_found(text: str, wrong: bool) -> None:
    assert bool(_with_own_lists(text)) is wrong


def _with_own_lists(text: str) -> list[int]:
    tree = ast.parse(text)
    names = re.compile(r"\b(MsgspecError|DecodeError)\b")
    found = [each.lineno for each in _own_lists(tree) if names.search(ast.unparse(each))]
    for tried in ast.walk(tree):
        if not isinstance(tried, ast.Try):
            continue
        if not re.search(r"decode\w*\((?!\))", "\n".join(map(ast.unparse, tried.body))):
            continue
        caught = [ast.unparse(each.type) for each in tried.handlers if each.type is not None]
        if any("ValidationError" in each for each in caught) and not any(
            "DECODING_ERRORS" in each for each in caught
        ):
            found.append(tried.lineno)
    return found


_PASSED_ON = {
    ("session.py", "requests.decode(head)"): "what is no request ends the instance",
    ("incidents.py", "_decode(data)"): "its caller takes what it remembered for damaged",
}
"""Where what raises something else is to reach the caller, which takes all of them."""


def test_nobody_has_a_list_of_the_errors_of_decoding_of_their_own() -> None:
    """RecursionError is no error of msgspec's: where it was forgotten it ended processes."""
    wrong: list[str] = []
    for path in sorted(Path(casemate.__file__).parent.rglob("*.py")):
        text = path.read_text()
        # The model imports nothing of ours, and decodes a number alone.
        if "msgspec" not in text or path.name == "decoding.py" or path.parent.name == "model":
            continue
        lines = text.splitlines()
        for line in _with_own_lists(text):
            near = "\n".join(lines[line - 1 : line + 2])
            if not any(path.name == name and code in near for name, code in _PASSED_ON):
                wrong.append(f"{path.name}:{line}")
    assert not wrong, f"catch DECODING_ERRORS: {wrong}"


@pytest.mark.parametrize(
    "number", ["1e300", "1e289", "-3E+299", "1e-310", "2.2250738585072011e-308"]
)
def test_many_numbers_that_are_slow_to_read_are_known(number: str) -> None:
    """One takes 8 microseconds: a megabyte of them would hold the event loop for a second."""
    few = ",".join([number] * MAX_EXTREMES)
    assert not has_many_extremes(f"[{few}]".encode())
    assert has_many_extremes(f"[{few},{number}]".encode())
    assert has_many_extremes(f'{{"a": "\\\\", "b": [{few}, {number}]}}'.encode())
    # As text they are no numbers.
    assert not has_many_extremes(f'["{few},{number}", "\\"{number}"]'.encode())
    assert not has_many_extremes(("[" + ",".join(["1.2345e-05"] * 5000) + "]").encode())


@pytest.mark.parametrize(
    "form", ["{}", "-{}", "{}.5", "0.{}", "1e{}", '{{"a\\\\": {}}}', '["a", {}]']
)
def test_a_number_with_many_digits_is_known(form: str) -> None:
    """5 MB of whole numbers with 4,200 digits held the event loop for 0.7 s, in four stages."""
    assert not has_long_number(form.format("7" * MAX_DIGITS).encode())
    assert has_long_number(form.format("7" * (MAX_DIGITS + 1)).encode())
    assert is_slow_to_read(form.format("7" * (MAX_DIGITS + 1)).encode())


def test_digits_in_a_text_are_no_number() -> None:
    digits = "7" * 5000
    assert not has_long_number(f'{{"{digits}": "{digits} \\" {digits}"}}'.encode())
    assert has_long_number(f'{{"{digits}": {digits}}}'.encode())


def test_texts_are_left_out() -> None:
    assert without_texts(b'{"a\\"1": [1, "\\\\", 2]}') == b"{: [1, , 2]}"


LONG_KEYS = {
    "a key": "a" + ".a" * 30_000 + "=1",
    "a table": "[a" + ".a" * 30_000 + "]",
    "quoted parts": '"a"' + '."a"' * 15_000 + "=1",
    "parts with what ends lines elsewhere": ".".join(["a" + ".a" * 150 + ".'\u2028'"] * 200) + "=1",
    "after a text of several lines": "k=['''\n\"''',{a" + ".a" * 30_000 + "=1}]",
    "within an inline table": "k={a" + ".a" * 30_000 + "=1}",
}


@pytest.mark.parametrize("text", LONG_KEYS.values(), ids=LONG_KEYS)
def test_toml_takes_no_time_by_the_square_of_its_keys(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(ValueError, match="has more than 200 dots"):
        toml_of(text)
    assert time.process_time() - begun < 0.2


@pytest.mark.parametrize("text", ["a=" + "9" * 5_000, "a=" + "[" * 30_000, "a=1\na=2", "a"])
def test_whatever_is_no_toml_is_one_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        toml_of(text)


def test_dots_of_texts_are_no_parts_of_keys() -> None:
    hosts = [f"a.b.c{n}" for n in range(300)]
    assert toml_of(f"hosts = {json.dumps(hosts)}") == {"hosts": hosts}
    assert toml_of("a.b.c = 1") == {"a": {"b": {"c": 1}}}
