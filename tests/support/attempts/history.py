"""Floods of what nobody vouches for are to push out, or hide, what matters."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from casemate.cli.text import one_line
from support.node import TestNode

from . import Attempt, Attempts, shown
from .others import Somebody, owner

APP = """
import os, sys
def handler(event, context):
    if "lines" in event:
        for n in range(event["lines"]):
            print(f"{n} " + "x" * event.get("size", 10))
    if "deny" in event:
        for n in range(event["deny"]):
            try: context.bucket(f"b{n}").get("x")
            except Exception: pass
    if "fail" in event:
        raise ValueError("x" * 500 + str(event["fail"]))
    return "ok"
"""
COUNT = 1500
MOST_BYTES = 400
"""A flood of one kind costs the disk this much for each request at most: the first are kept each by itself,
then they are folded."""

Made = Callable[[int], bytes]


def request(line: str, *fields: str, body: bytes = b"") -> bytes:
    head = "".join(f"{field}\r\n" for field in ("host: x", *fields))
    return f"{line} HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body


def post(path: str, body: bytes, *fields: str) -> bytes:
    return request(f"POST {path}", "content-type: application/json", *fields, body=body)


FLOODS: dict[str, Made] = {
    "names of functions": lambda n: post(f"/invoke/t/f{n}", b"{}"),
    "names of projects": lambda n: post(f"/invoke/p{n}/f", b"{}"),
    "versions": lambda n: post(f"/invoke/t/open@{n}", b"{}"),
    "paths": lambda n: request(f"GET /x{n}"),
    "paths of the API": lambda n: request(f"GET /api/v1/functions/t/f{n}"),
    "methods": lambda n: request(f"M{n} /x"),
    "tokens that are none": lambda n: request(
        "GET /api/v1/whoami", f"authorization: Bearer cm_{n:016x}_{'A' * 49}"
    ),
    "tokens that are no text": lambda n: request(
        "GET /api/v1/whoami", f"authorization: Bearer {n}"
    ),
    "names at the login": lambda n: post(
        "/api/v1/enrol",
        json.dumps({"name": f"n{n}", "code": "cmenrol_x", "password": "x" * 14}).encode(),
    ),
    "hooks": lambda n: post(f"/hooks/t/f/h{n}", b"{}", "x-hub-signature-256: sha256=" + "0" * 64),
    "bodies that are no JSON": lambda n: post("/invoke/t/open", b"{%d" % n),
    "bodies that break limits": lambda n: post(
        "/invoke/t/open", b"[" * (40 + n % 50) + b"]" * (40 + n % 50)
    ),
    "hostile bodies": lambda n: post(
        "/invoke/t/open", json.dumps({"a": f"' OR {n}={n} --", "b": "{{7*7}}"}).encode()
    ),
    "hosts": lambda n: request(
        "GET /y", f"x-forwarded-for: 192.0.2.{n % 250}", f"x-request-id: {n}"
    ),
    "origins": lambda n: request(
        "OPTIONS /y", f"origin: https://a{n}.example", "access-control-request-method: GET"
    ),
    "heads that are too long": lambda n: request("GET /y", f"x-{n}: " + "a" * 9000),
    "ID tokens": lambda n: post(
        "/api/v1/login/workload", json.dumps({"token": f"a{n}.b.c"}).encode()
    ),
    "keys of idempotency": lambda n: post("/invoke/t/closed", b"{}", f"idempotency-key: k{n}"),
}


def flood(node: TestNode, made: Made, count: int, start: int) -> int:
    """Send requests in pipelines on 4 connections; return how many were answered."""
    answered = 0
    for part in range(0, count, 200):
        with socket.create_connection(("127.0.0.1", node.port)) as sock:
            sock.settimeout(30)
            try:
                sock.sendall(b"".join(made(start + part + n) for n in range(200)))
                sock.shutdown(socket.SHUT_WR)
                while data := sock.recv(1 << 20):
                    answered += data.count(b"HTTP/1.1 ")
            except OSError:
                continue
    return answered


def size(node: TestNode) -> int:
    total = 0
    for folder, _, names in os.walk(node.data):
        for name in names:
            try:
                total += (Path(folder) / name).stat().st_blocks * 512
            except OSError:
                continue
    return total


def again(found: Callable[[], bool], times: int = 6) -> bool:
    """Tell whether something is found; a recorder that is busy is asked again."""
    for _ in range(times):
        if found():
            return True
        time.sleep(1)
    return False


def plant(node: TestNode) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Have things happen that matter; give what finds each again."""
    own = owner(node)
    spy = own.made("invoker@elsewhere")
    spy.ask("GET", "/users")
    spy.ask("DELETE", "/tables/precious/x")
    failed = node.invoke({"fail": "planted"}, function="t/closed")
    error = failed.json().get("error_id", "")
    ran = failed.headers["x-request-id"]
    time.sleep(1)

    def denied() -> bool:
        return spy.token in own.ask("GET", "/denials?project=precious&limit=1000").text

    yield "a denial of a known caller", denied
    yield "an error of a function", lambda: own.ask("GET", f"/errors/{error}").status_code == 200
    yield "an invocation", lambda: own.ask("GET", f"/invocations/{ran}").status_code == 200
    yield (
        "a token that was made, in the journal",
        lambda: (
            spy.token in own.ask("GET", f"/journal?search={spy.token}&limit=100").text
            or spy.token in own.ask("GET", "/journal?limit=1000").text
        ),
    )


def authenticated(node: TestNode) -> Iterator[tuple[str, Callable[[], object]]]:
    """Give floods of those who have a little."""
    weak = owner(node).made("invoker@t/closed")

    def calls(event: dict[str, object], times: int = 60) -> Callable[[], object]:
        def go() -> object:
            return [
                weak.node.client.post(
                    f"{node.url}/invoke/t/closed", json=event | {"n": n}
                ).status_code
                for n in range(times)
            ][-1]

        return go

    yield "of its lines", calls({"lines": 3000, "size": 80})
    yield "of its long lines", calls({"lines": 20, "size": 30_000})
    yield "of its errors", calls({"fail": "other"})
    yield "of its denied uses", calls({"deny": 300}, 20)
    yield (
        "of a caller's denials",
        lambda: [weak.ask("GET", f"/functions/t/x{n}").status_code for n in range(1500)][-1],
    )


def attempts(node: TestNode) -> Attempts:
    """Flood; then look for what was planted, and what it cost."""
    node.deploy(APP, name="open", settings="public = true")
    node.deploy(APP, name="closed", unguarded=True)
    # What is denied of a project that there is not is told of none.
    node.deploy(APP, name="kept", project="precious")
    planted = list(plant(node))
    assert all(found() for _, found in planted), [name for name, found in planted if not found()]
    for number, (name, made) in enumerate(FLOODS.items()):
        before = size(node)
        answered = flood(node, made, COUNT, number * COUNT * 10)
        yield from shown(f"a flood of {name}, answered", answered > 0, "nothing is answered")
        time.sleep(0.5)
        lost = [what for what, found in planted if not again(found)]
        grown = size(node) - before
        yield Attempt(
            f"a flood of {name}",
            bool(lost) or grown > max(8 << 20, answered * MOST_BYTES),
            f"{answered} answered, {grown / 1e6:.1f} MB, lost {lost}",
        )
    for name, go in authenticated(node):
        before = size(node)
        said = go()
        yield from shown(f"a flood {name}, answered", said in (200, 403, 500), str(said))
        time.sleep(0.5)
        lost = [what for what, found in planted if not again(found)]
        yield Attempt(
            f"a flood {name}",
            bool(lost),
            f"{said}, {(size(node) - before) / 1e6:.1f} MB, lost {lost}",
        )
    yield from _hiding(node, owner(node))


def _hiding(node: TestNode, own: Somebody) -> Attempts:
    """Write what looks like other records: they are to be told apart."""
    for name, text in {
        "a line that looks like the journal's": '{"class_uid":3002,"activity_id":1,"user":"owner"}',
        "a line that clears a terminal": "\x1b[2J\x1b[H",
        "a line that goes back": "harmless\rowner signed in",
        "a line that ends a record": '"}\n{"level":"info","message":"forged"}',
        "a line in the other direction": "\u202eevil",
    }.items():
        node.deploy(
            f"def handler(event, context):\n    print({text!r})\n    return 1\n", name="line"
        )
        ran = node.invoke({}, function="t/line").headers["x-request-id"]
        time.sleep(0.4)
        raw = own.ask("GET", f"/logs?project=t&function=line&invocation={ran}&limit=10")
        lines = [json.loads(one) for one in raw.text.splitlines()]
        yield from shown(f"{name}, written", bool(lines), f"{raw.status_code} {raw.text[:90]}")
        forged = [one for one in lines if one.get("text") == "forged" or "class_uid" in one]
        yield Attempt(
            name,
            bool(forged)
            or "\x1b" in raw.text
            or any(sign in one_line(one["text"]) for one in lines for sign in "\x1b\u202e"),
            raw.text[:150],
        )
