"""A node whose every answer is of the right form, and says what no node says.

For each operation an answer is made of its type: with the largest and least numbers, times that no
calendar has, texts that steer terminals, nothing in lists or many, each choice of a union. Commands
that read are run against it; none may end as a fault of its own, or let a control character out.
"""

from __future__ import annotations

import contextlib
import http.server
import io
import re
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from casemate.cli.main import run
from casemate.operations.catalogue import MODULES, operations_of
from casemate.operations.form import Form, form_of
from support.hostile_http import HostileServer, answered

EVIL = "a\x1b[2J\x1b]0;x\x07\r\n\u202e\x9b31m=cmd|' /C calc'!A0 \ud7ff\U000e0041 `$(x)` [b]%s{0}"
NUMBERS: dict[str, tuple[int, float]] = {
    "most": ((1 << 63) - 1, 1e308),
    "least": (-(1 << 63), -1e308),
    "none": (0, 0.0),
    "small": (-1, 5e-324),
}
FORMS = [
    form_of(kind) for module in MODULES for kind in operations_of(module) if kind.declared.http
]

SHAPES = [re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(form.path))) for form in FORMS]
"""Of their paths. There are more than `re` keeps for those who do not."""


class Maker:
    """Makes values of types. What a type bounds is kept: a node of ours could have sent it."""

    def __init__(self, variant: str) -> None:
        self.whole, self.float = NUMBERS[variant]
        self.text = "" if variant == "none" else EVIL
        self.many = {"most": 3, "least": 1, "none": 0, "small": 2}[variant]
        self.choice = {"most": -1, "least": 0, "none": 0, "small": 1}[variant]

    def make(self, kind: Any, depth: int = 0) -> Any:
        info = msgspec.inspect
        match kind:
            case info.Metadata():
                return self.make(kind.type, depth)
            case info.IntType():
                return int(bounded(self.whole, kind))
            case info.FloatType():
                return bounded(self.float, kind)
            case info.StrType():
                if kind.pattern is not None or kind.min_length:
                    return "x" * max(kind.min_length or 0, 1)
                return self.text[: kind.max_length]
            case info.BoolType():
                return self.whole > 0
            case info.NoneType():
                return None
            case info.BytesType():
                return ""
            case info.LiteralType():
                return kind.values[self.choice % len(kind.values)]
            case info.EnumType():
                members = list(kind.cls)
                return members[self.choice % len(members)].value
            case info.UnionType():
                types = [t for t in kind.types if not isinstance(t, info.NoneType)]
                if len(types) < len(kind.types) and (depth > 6 or not self.many):
                    return None
                return self.make(types[self.choice % len(types)], depth + 1)
            case info.ListType() | info.SetType() | info.FrozenSetType() | info.VarTupleType():
                count = max(min(self.many, kind.max_length or 99), kind.min_length or 0)
                if depth > 6:
                    count = kind.min_length or 0
                if isinstance(kind, info.SetType | info.FrozenSetType):
                    count = min(count, 1)
                return [self.make(kind.item_type, depth + 1) for _ in range(count)]
            case info.TupleType():
                return [self.make(each, depth + 1) for each in kind.item_types]
            case info.DictType():
                if not self.many or depth > 6:
                    return {}
                return {
                    str(self.make(kind.key_type, depth + 1)): self.make(kind.value_type, depth + 1)
                }
            case info.StructType():
                return self.struct(kind, depth)
            case info.CustomType() | info.AnyType() | info.RawType():
                return self.text
            case _:
                raise TypeError(kind)

    def struct(self, kind: msgspec.inspect.StructType, depth: int) -> Any:
        values = {
            field.encode_name: self.make(field.type, depth + 1)
            for field in kind.fields
            if field.required or (self.many and depth <= 6)
        }
        if kind.array_like:
            return list(values.values())
        if kind.tag_field is not None:
            values = {kind.tag_field: kind.tag, **values}
        return values


def bounded(number: float, kind: Any) -> float:
    least = kind.ge if kind.ge is not None else kind.gt
    most = kind.le if kind.le is not None else kind.lt
    if least is not None:
        number = max(number, least + (1 if kind.ge is None else 0))
    if most is not None:
        number = min(number, most - (1 if kind.le is None else 0))
    return number


def answer_of(form: Form, maker: Maker) -> bytes:
    if form.answer is bytes:
        return b"\x1b[2J"
    if form.answer is None:
        return b""
    if form.line is not None:
        kind = msgspec.inspect.type_info(form.line)
        return b"".join(msgspec.json.encode(maker.make(kind)) + b"\n" for _ in range(2))
    return msgspec.json.encode(maker.make(msgspec.inspect.type_info(form.answer)))


class Node(http.server.ThreadingHTTPServer):
    variant = "most"
    asked: set[str]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Node

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0].removeprefix("/api/v1")
        for form, shape in zip(FORMS, SHAPES, strict=True):
            if form.method == self.command and shape.fullmatch(path):
                break
        else:
            self.send_error(404)
            return
        self.server.asked.add(form.id)
        body = answer_of(form, Maker(self.server.variant))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

    def log_message(self, *_: object) -> None:
        pass


COMMANDS = [
    *("whoami", "ls", "show shop/cart", "logs shop/cart", "invocations", "invocations --id inv_1"),
    *("errors ls", "errors show err_1", "denials", "usage", "bill", "bill --format csv"),
    *(
        "budget ls",
        "tokens ls",
        "users ls",
        "workloads ls",
        "oidc show",
        "nodes ls",
        "oidc show --json",
    ),
    *("findings ls", "findings show f", "incident ls", "incident show inc-1", "incident holds"),
    *("incident report inc-1", "playbook ls", "playbook show p", "playbook history p"),
    *("playbook runs", "baseline show shop/cart", "decoys ls", "metrics", "metrics shop/cart"),
    *("journal search", "journal show 1", "journal head", "queues ls shop", "buckets ls shop"),
    *("tables ls shop", "dlq ls shop/cart", "hooks ls shop/cart", "sources ls", "routes ls"),
    *(
        "secrets ls",
        "secrets rotations shop",
        "vault status",
        "policy ls",
        "policy show p",
    ),
    *("recordings ls", "restrict ls", "alert ls", "alert on-call", "alert silences"),
    *("trace inv_1", "keys ls", "keys rule shop", "access review", "prices show", "tune"),
    *(
        "advisories live",
        "advisories exceptions",
        "grants show shop/cart",
        "grants approvals shop/cart",
    ),
    *("replay inc-1", "audit node", "audit node --history", "can user:ada function:read shop"),
    *("usage --by function", "bill --format focus", "dlq show shop/cart 1"),
]
FAULTS = re.compile(r"unexpected [A-Z]\w+|Traceback")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    server = Node(("127.0.0.1", 0), Handler)
    server.asked = set()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def command(
    node: Node, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], tuple[int, str]]:
    monkeypatch.setenv("CASEMATE_URL", f"http://127.0.0.1:{node.server_port}")
    monkeypatch.setenv("CASEMATE_KEY", "cm_" + "k" * 40)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def call(line: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        capsys.readouterr()
        code = run(line.split())
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return call


@pytest.mark.parametrize("variant", NUMBERS)
@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_shows_whatever_is_answered(
    node: Node, command: Callable[[str], tuple[int, str]], line: str, variant: str
) -> None:
    node.variant = variant
    code, said = command(line)
    assert not FAULTS.search(said), said[-600:]
    assert not CONTROLS.search(said), repr(said[-600:])
    assert code != 0 or said


@pytest.mark.parametrize("line", ["journal search", "journal show abc", "journal export"])
def test_pages_of_a_journal_come_to_an_end(
    command: Callable[[str], tuple[int, str]], monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """A node that gives no entries and says that there are earlier ones."""
    same = answered(b'{"entries":[],"before":7}')
    with HostileServer(same) as server:
        monkeypatch.setenv("CASEMATE_URL", server.url)
        code, said = command(line)
        assert (code, "again and again" in said) == (1, True)
        assert len(server.requests) == 2
