"""A handler that returns what it caught, as its normal answer: none of it reaches a caller.

Cells are way out x kind of error x phase x what is planted, each with its own run of real code
that is loaded as a function's is, through the instance's frame, the gateway's seal and what
delivery makes of the answer. The twin: ordinary answers, pages about tracebacks among them, pass
byte for byte.
"""

from __future__ import annotations

import asyncio
import base64
import builtins
import concurrent.futures
import contextlib
import difflib
import gzip
import html
import inspect
import itertools
import json
import linecache
import logging
import random
import socket
import sqlite3
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import uvloop

from casemate.delivery.destinations import _result
from casemate.delivery.verdict import body_of
from casemate.guard.core import Guard
from casemate.guard.handed_over import HANDED_OVER
from casemate.guard.leaks.hooks import watch_asking, watch_formatting, watch_makers
from casemate.guard.names import NAMES
from casemate.guard.rewriting import compile_rewritten
from casemate.model.function import ErrorException
from casemate.model.invocation import Outcome
from casemate.model.path import Finished
from casemate.runner import wire
from casemate.runner.instance import Instance
from casemate.runner.loaded import LateImports
from casemate.sandbox.frames import ERROR_KINDS
from casemate.seal import Seal
from support.core import MemoryStore, raw, request, version
from support.exposing import CODE, KINDS, PHASES, PLANTED, SPELLED, WAYS, answer

APP = "/function/code/app.py"
DEPENDENCY = "/function/deps/framework/app.py"


PATCHED = (
    (logging.Handler, "handle"),
    (sys, "exc_info"),
    (sys, "exception"),
    (traceback.TracebackException, "__init__"),
    (sqlite3.Error, "__init__"),
    (asyncio.BaseEventLoop, "create_task"),
    (uvloop.Loop, "create_task"),
    (concurrent.futures.Future, "set_exception"),
    (contextlib.ExitStack, "__exit__"),
    (contextlib.AsyncExitStack, "__aexit__"),
    (threading, "_make_invoke_excepthook"),
)


@pytest.fixture(scope="module")
def guard() -> Iterator[Guard]:
    made = Guard()
    kept = [(owner, name, inspect.getattr_static(owner, name)) for owner, name in PATCHED]
    for name in NAMES:
        setattr(builtins, f"__casemate_{name}__", getattr(made.provenance, name))
    watch_formatting(made.raised)
    watch_asking(made.raised)
    for module, patch in HANDED_OVER.patches.items():
        if module in sys.modules:
            patch(made, sys.modules[module])
    yield made
    for owner, name, before in kept:
        setattr(owner, name, before)
    for name in NAMES:
        delattr(builtins, f"__casemate_{name}__")


def load(source: str, path: str = APP) -> dict[str, Any]:
    """Load code as the function's own, so that its lines can be read as in the sandbox."""
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    code = compile_rewritten(source.encode(), path)
    assert code is not None
    names: dict[str, Any] = {"__name__": "app"}
    exec(code, names)
    return names


@pytest.fixture(scope="module")
def code(guard: Guard) -> dict[str, Any]:
    return load(CODE)


class Out:
    """Answers as they reach callers, through the instance's and the gateway's part."""

    def __init__(self, guard: Guard, **spec: Any) -> None:
        self._ours, theirs = socket.socketpair()
        assignment = {
            **{"project": "p", "function": "f", "digest": "d" * 64, "memory": 1 << 26},
            **{"response": 16 << 20, "isolation": "instance"},
        }
        self.result: Any = None
        self.instance = Instance(
            lambda event, context: self.result(), assignment, theirs, guard, LateImports()
        )
        self.theirs = theirs
        self.store = MemoryStore()
        self._seal = Seal(self.store)
        self._version = version(**spec)

    def close(self) -> None:
        self._ours.close()
        self.theirs.close()

    def send(self, make: Any, *, http: bool = True, shape: str = "", look: bool = True) -> Finished:
        self.result = make
        head = {"id": "i", "deadline": 2e9, "http": http, "version": "1", "at": 0.5}
        head["open"] = self._version.spec.shown(None)
        given = b"{}" if not shape else b'{"events":[{"kind":"invoke","data":1,"id":"","source":"",'
        if shape:
            given += b'"type":"","time":0,"subject":"","invoke":{}}],"aws":{}}'
            head["shape"] = shape
        reader = wire.FrameReader(wire.KINDS_FROM_INSTANCE, 32 << 20)
        [(kind, told, body)] = reader.feed(self.instance._frame(head, given))
        finished = Finished(
            outcome=Outcome.OK, request=request(), version=self._version, head=told, body=body
        )
        if kind == wire.ERROR:
            self.told = json.loads(told)
            return Finished(outcome=ERROR_KINDS[self.told["kind"]], request=request())
        return finished

    def leaves(self, finished: Finished) -> bytes:
        """Return all that any way out has of an answer."""
        sealed = self._seal.complete(finished)
        headers = b"\n".join(b"%b: %b" % pair for pair in sealed.response.headers)
        return b"\n".join((headers, body_of(sealed.response), _result(sealed)))


@pytest.fixture
def out(guard: Guard) -> Iterator[Out]:
    made = Out(guard)
    yield made
    made.close()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_the_inside_leaves(out: Out, code: dict[str, Any], way: str, phase: str) -> None:
    """Each kind once, with what is planted in turn."""
    first = WAYS.index(way) + PHASES.index(phase)
    turns = [list(PLANTED.items())[(first + at) % len(PLANTED)] for at in range(len(KINDS))]
    nothing_leaves(out, code, way, phase, list(zip(KINDS, turns, strict=True)))


@pytest.mark.storm
def test_nothing_of_the_inside_leaves_in_any_cell(out: Out, code: dict[str, Any]) -> None:
    for way, phase in itertools.product(WAYS, PHASES):
        cells = itertools.product(KINDS, PLANTED.items())
        nothing_leaves(out, code, way, phase, list(cells))


EMOJI = "tr0ub4dor-\N{GRINNING FACE}-\N{LATIN SMALL LETTER U WITH DIAERESIS}mlaut"
FEW = ("trace", "source", "repr", "database", "place", "type")


@pytest.mark.parametrize("way", SPELLED)
def test_nothing_leaves_that_is_packed_or_spelled_otherwise(
    out: Out, code: dict[str, Any], way: str
) -> None:
    spelled_is_sealed(out, code, way, FEW, [PLANTED["source"], EMOJI])


@pytest.mark.storm
def test_nothing_leaves_that_is_packed_or_spelled_in_any_cell(
    out: Out, code: dict[str, Any]
) -> None:
    for way in SPELLED:
        spelled_is_sealed(out, code, way, KINDS, [*PLANTED.values(), EMOJI])


NOT_SPELLED = {("script escapes", EMOJI), ("json escapes", EMOJI), ("quoted header", "place")}
"""No such escape is there; and a header that a line's number is cut from by its next piece."""


def spelled_is_sealed(
    out: Out, code: dict[str, Any], way: str, kinds: Iterable[str], planted: list[str]
) -> None:
    leaked = []
    for kind, text in itertools.product(kinds, planted):
        if {(way, text), (way, kind)} & NOT_SPELLED:
            continue
        finished = out.send(lambda k=kind, p=text: SPELLED[way](code["in_handler"](k, p)))
        if finished.outcome is Outcome.OK:
            leaked.append((kind, text))
    assert not leaked


def nothing_leaves(
    out: Out,
    code: dict[str, Any],
    way: str,
    phase: str,
    cells: list[tuple[str, tuple[str, str]]],
) -> None:
    leaked = []
    for kind, (name, planted) in cells:

        def make(kind: str = kind, planted: str = planted) -> Any:
            return answer(way, code[phase](kind, planted))

        finished = out.send(make, shape="aws" if way == "aws" else "")
        seen = out.leaves(finished)
        words = (planted.encode(), b"Traceback", b"app.py", b"OwnError", b"the_line_of_source")
        if finished.outcome is not Outcome.EXPOSED or any(word in seen for word in words):
            leaked.append((kind, name, seen))
        elif planted not in out.told["trace"] + out.told["message"] and kind not in TOLD_OTHERWISE:
            leaked.append((kind, name, out.told))
    assert not leaked, (len(leaked), leaked[0])


TOLD_OTHERWISE = ("file", "source", "database", "database-html", "nested", "page", "trace", "last")
"""Kinds in which the owner finds what was planted escaped, quoted or cut."""


def test_there_are_enough_cells() -> None:
    assert len(PHASES) * len(WAYS) * len(KINDS) >= 4_000


FRAMEWORK = """
import traceback

class Reporter(traceback.TracebackException):
    pass

def serve(function, how):
    try:
        return function()
    except Exception as error:
        if how == "reporter":
            return "".join(Reporter(type(error), error, error.__traceback__).format())
        if how == "last":
            return traceback.format_exception_only(type(error), error)[-1].strip()
        return "(driver) " + str(error)
"""


@pytest.mark.parametrize("how", ["reporter", "last", "driver"])
def test_what_a_framework_catches_is_noted_as_it_formats_it(
    out: Out, guard: Guard, code: dict[str, Any], how: str
) -> None:
    watch_makers(guard.raised)
    names: dict[str, Any] = {"__name__": "framework"}
    exec(compile(FRAMEWORK, DEPENDENCY, "exec"), names)

    def make() -> Any:
        kind = "database" if how == "driver" else "own"
        return {"errors": [{"message": names["serve"](lambda: code["fail"](kind, "users"), how)}]}

    assert out.send(make).outcome is Outcome.EXPOSED


def test_what_the_import_caught_is_known_to_every_call(guard: Guard) -> None:
    module = (
        "try:\n    import no_such_module_of_ours\n"
        "except ImportError as error:\n    WHY = repr(error)\n"
    )
    names = load(module, "/function/code/late.py")
    guard.raised.settle()
    made = Out(guard)
    try:
        for _ in range(2):
            assert made.send(lambda: {"why": names["WHY"]}).outcome is Outcome.EXPOSED
        assert made.send(lambda: {"why": "it is not there"}).outcome is Outcome.OK
    finally:
        guard.raised.standing = ()
        made.close()


UNNAMED = """
import inspect, logging, sys, traceback

class OwnError(Exception):
    pass

class Kept(logging.Handler):
    def emit(self, record):
        self.kept = record.exc_info and repr(record.exc_info[1])

def again():
    try:
        raise OwnError("the pin of account 17")
    except OwnError:
        raise LookupError("nothing there") from None

def unnamed(how):
    try:
        raise OwnError("the pin of account 17")
    except Exception:
        if how == "exc_info":
            return repr(sys.exc_info()[1])
        if how == "exception":
            return repr(sys.exception())
        if how == "format_exc":
            return traceback.format_exc()
        if how == "inspect":
            return inspect.trace()[-1].code_context[0]
        if how == "logged":
            logger, handler = logging.Logger("kept"), Kept()
            logger.addHandler(handler)
            logger.exception("it failed")
            return handler.kept
        if how == "context":
            try:
                again()
            except LookupError as error:
                return repr(error.__context__)
        return "OwnError('the pin of account 17')"  # by chance
"""
ASKED = ("exc_info", "exception", "format_exc", "inspect", "logged", "context")


@pytest.mark.parametrize("how", ASKED)
def test_what_is_caught_without_a_name_is_noted_as_it_is_asked_for(out: Out, how: str) -> None:
    unnamed = load(UNNAMED, "/function/code/unnamed.py")["unnamed"]
    assert out.send(lambda: {"error": unnamed(how)}).outcome is Outcome.EXPOSED
    assert out.send(lambda: {"error": unnamed("")}).outcome is Outcome.OK


PAGES = {
    "werkzeug": '<link rel="stylesheet" href="?__debugger__=yes&amp;cmd=resource&amp;f=style.css">'
    "<script>EVALEX = true</script><h2>Traceback</h2>",
    "django": "<p>You are seeing this because you have <code>DEBUG = True</code></p>"
    '<div id="traceback"><h2>Traceback</h2>',
    "starlette": "<title>Starlette Debugger</title><p class='frame-line'>Traceback",
    "aiohttp": "<h1>500 Internal Server Error</h1>\n<h2>Traceback:</h2>\n<pre>x</pre>",
}
PLACES = {
    "werkzeug": f'File <cite class="filename">"{APP}"</cite>,\n  line <em class="line">12</em>,',
    "django": f'<code class="fname">{APP}</code>, line 12, in view',
    "starlette": f"File <span class='frame-filename'>{APP}</span>,\n    line <i>12</i>,",
    "plain": f'  File "{APP}", line 12, in handler',
    "escaped": json.dumps(f'  File "{APP}", line 12, in handler'),
    "html": html.escape(f'  File "{APP}", line 12, in handler'),
    "slashes": f'  File "{APP}", line 12, in handler'.replace("/", "\\/"),
    "short": f"{APP}:12",
    "address": "/login?error=" + quote(f'  File "{APP}", line 12, in handler'),
    "address without slashes": quote(f'  File "{APP}", line 12, in handler', safe=""),
    "form": urlencode({"error": f'File "{APP}", line 12, in handler'}),
    "small letters": quote(f'File "{APP}", line 12', safe="").lower(),
    "deps": 'File "/function/deps/flask/app.py", line 1511, in wsgi_app',
}


def sealed(body: str, kind: str = "text/html", **spec: Any) -> tuple[Outcome, bytes]:
    """Send an answer that the instance did not look at."""
    head = json.dumps({"status": 200, "headers": [["content-type", kind]]}).encode()
    finished = Finished(
        outcome=Outcome.OK,
        request=request(),
        version=version(**spec),
        head=head,
        body=body.encode(),
    )
    done = Seal(MemoryStore()).complete(finished)
    return done.outcome, body_of(done.response)


@pytest.mark.parametrize("text", [*PAGES.values(), *PLACES.values()], ids=[*PAGES, *PLACES])
def test_the_gateway_knows_a_trace_of_the_sandbox_and_debug_pages_itself(text: str) -> None:
    outcome, body = sealed(f"<html>{text}</html>")
    assert outcome is Outcome.EXPOSED
    assert json.loads(body)["error_id"].startswith("err_") and b"app.py" not in body


def test_the_pages_that_frameworks_really_make_are_known() -> None:
    child = Path(__file__).parents[1] / "support" / "debug_pages_child.py"
    done = subprocess.run(
        [sys.executable, str(child)], capture_output=True, text=True, timeout=60, check=True
    )
    found = json.loads(done.stdout)
    assert set(found) >= {"werkzeug", "django", "starlette", "aiohttp"}
    for name, (page, trace) in found.items():
        assert trace == "trace" and (page == "page" or name.endswith("text")), (name, page, trace)


def test_a_header_is_looked_at_as_a_body_is(out: Out) -> None:
    place = f'File "{APP}", line 12, in handler'
    head = json.dumps({"status": 200, "headers": [["x-debug", place]]}).encode()
    finished = Finished(outcome=Outcome.OK, request=request(), version=version(), head=head)
    assert Seal(MemoryStore()).complete(finished).outcome is Outcome.EXPOSED


def test_a_path_that_the_bundle_has_is_inside_and_others_are_content(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = "/function/code/settings.py"
    monkeypatch.setattr("os.path.lexists", lambda path: path == there)
    assert out.send(lambda: {"at": there}).outcome is Outcome.EXPOSED
    shown = f"<module 'settings' from '{there}'>"
    for way in ("redirect", "cookie"):
        assert out.send(lambda way=way: answer(way, shown)).outcome is Outcome.EXPOSED
    assert out.send(lambda: {"at": "/function/code/another.py"}).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("place", "what", "passes"),
    [
        ("*", "*", True),
        ("invoke", "trace", True),
        ("invoke", "page", False),
        ("/debug", "trace", False),
        ("*", "path", False),
    ],
)
def test_an_exception_of_the_manifest_lets_through_what_it_names_where_it_names(
    guard: Guard, place: str, what: str, passes: bool
) -> None:
    errors = (ErrorException(place=place, what=what, reason="for the debugging page"),)
    out = Out(guard, errors=errors, routes=["GET /debug"])
    try:
        text = f'File "{APP}", line 12, in handler'
        finished = out.send(lambda: {"status": 200, "body": text})
        assert (finished.outcome is Outcome.OK) is passes
        assert (sealed(text, errors=errors)[0] is Outcome.OK) is passes
    finally:
        out.close()


def test_an_exception_for_one_kind_leaves_the_others_sealed(
    guard: Guard, code: dict[str, Any]
) -> None:
    errors = (ErrorException(place="*", what="exception", reason="texts are ours"),)
    out = Out(guard, errors=errors)
    try:
        assert out.send(lambda: code["in_handler"]("repr", "x")).outcome is Outcome.OK
        for kind in ("trace", "source", "database", "stripped"):
            finished = out.send(lambda kind=kind: code["in_handler"](kind, "x"))
            assert finished.outcome is Outcome.EXPOSED, kind
    finally:
        out.close()


def test_what_cannot_be_looked_through_does_not_leave(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(out.instance._judge, "find", broken)
    assert out.send(lambda: {"a": 1}).outcome is Outcome.EXPOSED


def test_a_large_answer_is_searched_at_both_ends_and_for_traces_in_whole(
    out: Out, code: dict[str, Any]
) -> None:
    filler = "a,b,c\n" * (1 << 20)

    def at(before: str, after: str, kind: str) -> Outcome:
        return out.send(
            lambda: {"status": 200, "body": before + code["in_handler"](kind, "x") + after}
        ).outcome

    assert at(filler, "", "repr") is Outcome.EXPOSED
    assert at("", filler, "repr") is Outcome.EXPOSED
    assert at(filler, filler, "trace") is Outcome.EXPOSED
    assert at(filler, filler, "repr") is Outcome.OK  # the bound, as the documentation names it


def test_more_paths_than_are_looked_at_are_no_way_around(out: Out) -> None:
    assert out.send(lambda: "/function/x " * 5_000).outcome is Outcome.EXPOSED


# -- what passes ---------------------------------------------------------------------------------

FOREIGN = """Traceback (most recent call last):
  File "/home/ann/shop/orders.py", line 41, in place
    charge(card, total)
  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode
    raise JSONDecodeError("Expecting value", s, err.value) from None
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"""


def ordinary(chance: random.Random) -> tuple[str, str]:
    """Return a media type and a body as honest handlers send them."""
    word = "".join(chance.choices("abcdefghijklmnop", k=chance.randint(3, 9)))
    number = chance.randint(1, 99_999)
    source = f"def {word}(x):\n    try:\n        return x[{number}]\n    except KeyError: raise\n"
    texts = (
        ("application/json", json.dumps({"id": number, "name": word, "path": f"/{word}/{number}"})),
        ("application/json", json.dumps({"error": f"{word} must be less than {number}"})),
        ("application/json", json.dumps({"log": FOREIGN, "line": number})),
        ("text/html", f"<h1>{word}</h1><a href='/function/{word}'>{number}</a><p>DEBUG = True</p>"),
        ("text/html", f"<h2>Traceback</h2><pre>{html.escape(FOREIGN)}</pre><p>{word}</p>"),
        ("text/markdown", f"# Tracebacks\n\n```\n{FOREIGN}\n```\n\nSee line {number}, {word}."),
        ("text/markdown", f"`raise ValueError({word!r})` is shown as `ValueError: {word}`"),
        ("text/csv", f"id,error\n{number},KeyError('{word}')\n{number},no such table: {word}\n"),
        ("text/x-python", source),
        ("text/x-python", f"import traceback\n\ntraceback.print_exc()  # {word}\n"),
        ("text/plain", f"sqlite3.OperationalError: no such table: {word}"),
        ("text/plain", f'File "/srv/{word}.py", line {number}, in {word}\n'),
        ("text/html", f"<p>Flask's debugger (<code>?__debugger__=yes</code>, EVALEX) {word}</p>"),
        ("text/html", f"<p>Set <code>DEBUG = True</code> for Django's Traceback page: {word}</p>"),
        ("text/markdown", f"Code is mounted at `/function/code`, e.g. `/function/code/{word}.py`."),
    )
    return texts[number % len(texts)]


def test_ordinary_answers_pass_byte_for_byte(out: Out) -> None:
    chance = random.Random(7)
    caught = load(
        "def quiet(text):\n    try:\n        return int(text)\n    except ValueError: return 0\n",
        "/function/code/quiet.py",
    )
    for number in range(5_000):
        kind, body = ordinary(chance)

        def make(number: int = number, kind: str = kind, body: str = body) -> Any:
            if number % 2:  # a call that has met an exception, and says nothing of it
                caught["quiet"]("no number")
            return {"status": 200, "headers": {"content-type": kind}, "body": body}

        finished = out.send(make)
        assert finished.outcome is Outcome.OK, (body, getattr(out, "told", None))
        done = Seal(MemoryStore()).complete(finished)
        assert done.outcome is Outcome.OK and done.response.body == body.encode(), body


def test_documentation_of_this_project_passes(out: Out) -> None:
    root = Path(__file__).parents[2]
    pages = [*root.glob("docs/**/*.md"), *root.glob("src/**/*.py"), *root.glob("tests/**/*.py")]
    texts = {page: page.read_text() for page in pages if page.name != Path(__file__).name}
    assert len(texts) > 500
    sealed_ones = []
    for page, text in texts.items():
        finished = out.send(lambda text=text: {"status": 200, "body": text})
        if finished.outcome is not Outcome.OK:
            sealed_ones.append(page)
    # What shows a trace of Casemate's own sandbox is the exception that an author has to record.
    assert len(sealed_ones) <= 12, sealed_ones


MEETING = """
import json, sqlite3
def meet():
    try: int("x12")
    except ValueError: pass
    try: {}["user"]
    except KeyError: pass
    try: sqlite3.connect(":memory:").execute("select * from users")
    except sqlite3.Error: pass
    try: open("/data/config.json")
    except OSError: pass
    try: json.loads("{")
    except ValueError: pass
    try: raise PermissionError("not allowed")
    except PermissionError: pass
"""


def about_errors(number: int) -> tuple[str, str]:
    """Return what honest handlers say of errors that are not theirs."""
    names = {"user": "orders", "users": "accounts", "x12": f"x{number}"}
    word = list(names.values())[number % 3]
    old, new = FOREIGN.splitlines(), FOREIGN.replace("41", str(number)).splitlines()
    texts = (
        ("application/json", json.dumps({"ticket": number, "traceback": FOREIGN, "by": word})),
        ("application/json", json.dumps({"e": "not found", "hint": f"{word} is not allowed"})),
        ("application/json", json.dumps({"level": "ERROR", "line": number, "file": "worker.py"})),
        ("text/plain", "\n".join(difflib.unified_diff(old, new, "a/log", f"b/{word}"))),
        ("text/plain", f"2026-11-{number % 28 + 1:02} ERROR worker: KeyError: '{word}'\n{FOREIGN}"),
        ("text/plain", "".join(f"{at:4} | {line}\n" for at, line in enumerate(old, number))),
        ("text/html", f"<p>Why is <code>KeyError: '{word}'</code> raised? {number} votes</p>"),
        ("text/html", "<pre>" + "".join(f"<i>{html.escape(x)}</i>\n" for x in old) + "</pre>"),
        (
            "text/markdown",
            f"`int('{word}')` raises `ValueError`; sqlite says no such table: {word}",
        ),
        ("text/x-python", f"try:\n    {word} = rows[{number}]\nexcept KeyError:\n    pass\n"),
        (
            "text/x-java",
            f"java.lang.IllegalStateException: {word}\n\tat shop.Run(Run.java:{number})",
        ),
        (
            "text/x-go",
            f"panic: {word}\n\ngoroutine {number} [running]:\n\t/srv/main.go:{number} +0x1d",
        ),
        (
            "text/x-php",
            f"PHP Warning: {word} in /var/www/index.php on line {number}\n#0 a.php({number})",
        ),
        ("text/csv", f"id,error\n{number},\"KeyError('{word}')\"\n"),
    )
    return texts[number % len(texts)]


def test_what_is_said_of_other_errors_passes_from_calls_that_met_their_own(out: Out) -> None:
    meet = load(MEETING, "/function/code/meeting.py")["meet"]
    for number in range(13, 420):
        kind, body = about_errors(number)
        packed = number % 3 == 0

        def make(kind: str = kind, body: str = body, packed: bool = packed) -> Any:
            meet()
            data = gzip.compress(body.encode()) if packed else body.encode()
            told = {"content-type": kind} | ({"content-encoding": "gzip"} if packed else {})
            text = base64.b64encode(data).decode()
            return {"status": 200, "headers": told, "body": text, "is_base64": True}

        finished = out.send(make)
        assert finished.outcome is Outcome.OK, (body, out.told)
        done = Seal(MemoryStore()).complete(finished)
        assert done.outcome is Outcome.OK
        sent = done.response.body
        assert isinstance(sent, bytes)
        assert (gzip.decompress(sent) if packed else sent) == body.encode()


NAMED = """
import io, json, logging

class Kept(logging.Handler):
    def emit(self, record):
        self.kept = self.format(record)

def meet(kept=None):
    log = logging.Logger("x")
    log.addHandler(kept or logging.NullHandler())
    try: {}["user"]
    except KeyError as error: log.warning("there is no %s: %r", "user", error)
    try: int("x12")
    except ValueError as error:
        if isinstance(error, UnicodeError):
            raise RuntimeError from error
    return kept and kept.kept

def told(how):
    try:
        {}["user"]
    except KeyError as error:
        if how == "locals": return "{error!r}".format(**locals())
        if how == "text": return f"{error!r}"
        if how == "handed": return describe(error)

def describe(error):
    return repr(error)
"""


def test_what_is_logged_alone_is_no_answer_and_is_one_where_it_is_kept(out: Out) -> None:
    names = load(NAMED, "/function/code/named.py")
    meet, told = names["meet"], names["told"]
    for text in QUOTING[:3]:
        answer_of = {"status": 200, "body": text}
        assert out.send(lambda a=answer_of: meet() or a).outcome is Outcome.OK
    assert out.send(lambda: {"e": meet(names["Kept"]())}).outcome is Outcome.EXPOSED
    for how in ("locals", "text", "handed"):
        assert out.send(lambda how=how: {"e": told(how)}).outcome is Outcome.EXPOSED, how


QUOTING = (
    "<p>Why is <code>KeyError: 'user'</code> raised? <code>KeyError('user')</code></p>",
    json.dumps({"issues": [{"title": "KeyError: 'user' in import", "id": 7}]}),
    "user,KeyError: 'user'\nx12,ValueError: invalid literal for int() with base 10: 'x12'\n",
    "[Errno 2] No such file or directory: '/data/config.json' means that it is not there.",
    "PermissionError: not allowed",
    json.dumps(["Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"]),
)


@pytest.mark.parametrize("text", QUOTING)
def test_prose_may_quote_what_the_call_met_and_nobody_asked_for(out: Out, text: str) -> None:
    meet = load(MEETING, "/function/code/meeting.py")["meet"]

    def make() -> Any:
        meet()
        return {"status": 200, "body": text}

    assert out.send(make).outcome is Outcome.OK, out.told


def test_a_message_of_one_s_own_passes(out: Out) -> None:
    names = load(
        "def check(n):\n    try:\n        if n < 1: raise ValueError('quantity must be positive')\n"
        "    except ValueError as error:\n        return {'status': 400, 'body': str(error)}\n",
        "/function/code/check.py",
    )
    finished = out.send(lambda: names["check"](0))
    assert (finished.outcome, finished.body) == (Outcome.OK, b"quantity must be positive")


def test_what_one_call_met_is_not_held_against_the_next(out: Out, code: dict[str, Any]) -> None:
    kept: list[str] = []
    first = out.send(lambda: kept.append(code["in_handler"]("repr", "x")))
    assert first.outcome is Outcome.OK
    assert not out.instance._guard.raised
    assert raw().event is None
