"""What a handler caught and answers with, under each Python that a node has: none of it leaves.

Cells are way out x kind of error x phase x runtime, each a call of a real node. A runtime is a
version of Python that is found here with an isolation and a form of events. The short form plays
each way with each kind under some runtime; the long one all cells, or as many of them, chosen at
random, as CASEMATE_SEALED_CELLS says.
"""

from __future__ import annotations

import inspect
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from casemate.build.interpreters import RuntimeStatus, find_interpreters
from support import exposing
from support.node import TestNode

SHARES_NODE = True
AWS = "aws"
CALLS = ("call", "chain", "async")
"""Ways out beside a route: the answer of a call, of a call of a call, and what is kept of one."""
ASYNC_SECONDS = 60.0
AT_ONCE = 4
HANDLER = """
def told(asked):
    planted = PLANTED[asked["planted"]]
    text = globals()[asked["phase"]](asked["kind"], planted)
    return answer(asked["way"], text)

def handler(event, context):
    return told(event.data)

def aws(event, context):
    return told(json.loads(event["body"]))

def chain(event, context):
    return {"inner": context.invoke(event["function"], event["asked"])}
"""
SOURCE = "\n".join(
    (
        exposing.CODE,
        "import base64, gzip, zlib\nfrom typing import Any\nfrom urllib.parse import quote\n",
        f"PLANTED = {exposing.PLANTED!r}\n",
        inspect.getsource(exposing.answer),
        HANDLER,
    )
)
FUNCTION = """
[function.{name}]
handler = "app:{handler}"
python = "{python}"
isolation = "{isolation}"
event_format = "{form}"
[[function.{name}.http]]
method = "POST"
path = "/{name}"
[function.{name}.delivery]
attempts = 1
"""
CHAIN = """
[function.chain]
handler = "app:chain"
grants = {{ invoke = {names} }}
"""
INSIDE = (b"Traceback", b"app.py", b"OwnError", b"the_line_of_source", b"/function/")


class Runtime(NamedTuple):
    """What a handler runs in."""

    python: str
    isolation: str
    form: str

    @property
    def name(self) -> str:
        version = self.python.replace(".", "")
        return f"on-{version}-{self.isolation}-{self.form}"

    @property
    def ways(self) -> tuple[str, ...]:
        plain = (way for way in exposing.WAYS if way != AWS)
        return (AWS,) if self.form == AWS else (*plain, *CALLS)


class Cell(NamedTuple):
    """One call."""

    runtime: Runtime
    way: str
    kind: str
    phase: str
    planted: str


def pythons() -> list[str]:
    found = find_interpreters(today=datetime.now(UTC).date(), environ=os.environ)
    return [one.minor for one in found if one.status is not RuntimeStatus.ENDED]


def runtimes() -> list[Runtime]:
    forms = (("request", "casemate"), ("instance", "casemate"), ("request", AWS))
    return [Runtime(python, *form) for python in pythons() for form in forms]


def every(chosen: list[Runtime]) -> Iterator[Cell]:
    turns = itertools.cycle(exposing.PLANTED)
    for runtime in chosen:
        for cell in itertools.product(runtime.ways, exposing.KINDS, exposing.PHASES):
            yield Cell(runtime, *cell, next(turns))


def some(chosen: list[Runtime]) -> Iterator[Cell]:
    """Yield each way with each kind once; phases, runtimes and what is planted take turns."""
    turns = zip(
        itertools.product(dict.fromkeys(w for r in chosen for w in r.ways), exposing.KINDS),
        itertools.cycle(exposing.PHASES),
        itertools.cycle(exposing.PLANTED),
        itertools.cycle(range(len(chosen) + 1)),
        strict=False,
    )
    for (way, kind), phase, planted, turn in turns:
        fit = [runtime for runtime in chosen if way in runtime.ways]
        yield Cell(fit[turn % len(fit)], way, kind, phase, planted)


def deploy(node: TestNode, chosen: list[Runtime]) -> None:
    manifest = '[project]\nname = "runtimes"\n'
    for one in chosen:
        handler = "aws" if one.form == AWS else "handler"
        manifest += FUNCTION.format(name=one.name, handler=handler, **one._asdict())
    manifest += CHAIN.format(names=[one.name for one in chosen])
    node.deploy_project(manifest, SOURCE)


def answered(node: TestNode, cell: Cell) -> tuple[int, bytes]:
    """Return the status and all that a caller is told."""
    asked = {**cell._asdict(), "way": cell.way if cell.way not in CALLS else "json"}
    asked["runtime"] = cell.runtime.name
    function = f"runtimes/{cell.runtime.name}"
    if cell.way == "chain":
        event = {"function": cell.runtime.name, "asked": asked}
        answer = node.invoke(event, function="runtimes/chain")
    elif cell.way == "async":
        return kept(node, function, asked)
    elif cell.way == "call":
        answer = node.invoke(asked, function=function)
    else:
        answer = node.client.post(f"{node.url}/{cell.runtime.name}", json=asked)
    headers = b"\n".join(b"%b: %b" % pair for pair in answer.headers.raw)
    return answer.status_code, headers + b"\n" + answer.content


def kept(node: TestNode, function: str, asked: dict[str, Any]) -> tuple[int, bytes]:
    given = node.invoke(asked, function=function, headers={"prefer": "respond-async"})
    assert given.status_code == 202, given.text
    address = f"{node.url}/api/v1/functions/{function}/invocations/{given.json()['id']}"
    end = time.monotonic() + ASYNC_SECONDS
    while True:
        answer = node.client.get(address)
        found = answer.json()
        if found.get("finished_at") is not None or time.monotonic() > end:
            break
        time.sleep(0.02)
    return (500 if found.get("state") == "failed" else 200), answer.content


def leaked(node: TestNode, cell: Cell) -> tuple[Cell, bytes] | None:
    status, seen = answered(node, cell)
    words = (exposing.PLANTED[cell.planted].encode(), *INSIDE)
    if status != 500 or b"err_" not in seen or any(word in seen for word in words):
        return cell, seen
    return None


def play(node: TestNode, cells: list[Cell]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = [one for one in pool.map(lambda cell: leaked(node, cell), cells) if one]
    by = Counter((cell.kind, cell.way, cell.phase) for cell, _ in found)
    assert not found, (len(found), len(cells), by.most_common(40), found[0])


def test_there_are_enough_cells() -> None:
    assert len(list(every(runtimes()))) >= 1_000


def test_each_way_and_kind_under_some_python(node: TestNode) -> None:
    isolations = itertools.cycle(("request", "instance"))
    plain = [Runtime(python, next(isolations), "casemate") for python in pythons()]
    chosen = [*plain, Runtime(pythons()[-1], "request", AWS)]
    deploy(node, chosen)
    cells = list(some(chosen))
    assert {cell.runtime for cell in cells} == set(chosen)
    play(node, cells)


@pytest.mark.storm
@pytest.mark.timeout(3_600)
def test_all_cells(node: TestNode) -> None:
    chosen = runtimes()
    deploy(node, chosen)
    cells = list(every(chosen))
    wanted = os.environ.get("CASEMATE_SEALED_CELLS")
    if wanted is not None:
        cells = random.Random(time.time()).sample(cells, int(wanted))
    play(node, cells)
    print(f"{len(cells)} cells under {', '.join(one.name for one in chosen)}: none told anything")
