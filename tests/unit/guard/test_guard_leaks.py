"""What is noted of exceptions: enough to know them again, bounded, and never the exceptions."""

from __future__ import annotations

import base64
import gc
import gzip
import sys
import time
import weakref
import zlib
from typing import Any

import brotli
import pytest
import zstandard

from casemate.guard.leaks import drivers, judgement, raised, texts
from casemate.guard.leaks.judgement import Judge, needles
from casemate.guard.leaks.raised import Raised
from casemate.guard.leaks.shapes import page_in, suspicious, trace_in


def noted(error: BaseException, notes: Raised | None = None) -> Raised:
    notes = Raised() if notes is None else notes
    try:
        raise error
    except BaseException:
        notes.caught()
    return notes


def test_nothing_is_noted_outside_of_a_handler() -> None:
    notes = Raised()
    notes.caught()
    assert not notes and notes.sources() == []


def test_exceptions_are_not_kept_alive() -> None:
    class Held(Exception):
        pass

    error = Held("x")
    seen = weakref.ref(error)
    notes = noted(error)
    del error
    gc.collect()
    assert seen() is None and notes


def test_places_and_texts_are_bounded_and_the_last_are_kept() -> None:
    notes = Raised()
    for number in range(1_000):
        noted(ValueError(f"number {number}"), notes)
    [source] = notes.sources()
    assert len(source.texts) == raised.MAX_TEXTS
    assert (source.texts[0].message, source.texts[-1].message) == ("number 0", "number 999")
    for number in range(200):
        noted(type(f"Kind{number}", (Exception,), {})("x"), notes)
    assert len(notes.sources()) == raised.MAX_SOURCES
    assert notes.sources()[0].name == "Kind199"
    assert len(noted(ValueError("x" * 100_000)).sources()[0].texts[0].message) == raised.MAX_TEXT


def test_causes_and_groups_are_noted_without_end() -> None:
    group = ExceptionGroup("all", [ValueError(f"one {n}") for n in range(1_000)])
    assert 2 <= len(noted(group).sources()) <= 20
    last: BaseException = ValueError("first")
    for number in range(1_000):
        error = RuntimeError(f"step {number}")
        error.__cause__ = last
        last = error
    assert len(noted(last).sources()) < 20


@pytest.mark.parametrize("name", ["__str__", "__repr__"])
def test_a_text_that_cannot_be_made_is_none(name: str) -> None:
    notes = Raised()

    def broken(self: Any) -> str:
        noted(type(self)("again"), notes)
        raise SystemExit

    error = type("Odd", (Exception,), {name: broken})("x")
    [source] = noted(error, notes).sources()
    assert "" in (source.texts[0].message, source.texts[0].shown)


def test_deep_stacks_keep_both_ends() -> None:
    def down(left: int) -> None:
        if left:
            down(left - 1)
        raise KeyError("deep")

    notes = Raised()
    try:
        down(200)
    except KeyError:
        notes.caught()
    frames = notes.sources()[0].frames
    assert len(frames) < 30
    assert frames[0][2] == "test_deep_stacks_keep_both_ends" and frames[-1][2] == "down"


def test_a_driver_is_known_by_its_module_s_marks_or_by_name() -> None:
    import sqlite3

    class OwnError(sqlite3.IntegrityError):
        pass

    module = type(sys)("odd_driver")
    module.apilevel, module.paramstyle = "2.0", "qmark"  # type: ignore[attr-defined]
    sys.modules["odd_driver"] = module
    try:
        kind = type("Error", (Exception,), {"__module__": "odd_driver.errors"})
        assert drivers.is_database(kind) and drivers.is_database(OwnError)
    finally:
        del sys.modules["odd_driver"]
    assert not drivers.is_database(ValueError)


def test_short_texts_are_nobody_s() -> None:
    found = [needle for source in noted(KeyError(1)).sources() for _, needle in needles(source)]
    assert "1" not in found and "KeyError(1)" in found


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"/function/",
        b"/function/code/",
        b"/function/code/app.py",
        b'"/function/code/app.py", in line',
        b"/function/code/app.py:port",
        b"/functions/code/app.py:12",
        b"/function/code/v1.2:3.4",
    ],
)
def test_what_is_no_place_is_none(text: bytes) -> None:
    assert trace_in(text) is None and page_in(text) is None


def test_layers_are_undone_and_bounded() -> None:
    import html
    import json

    text = "KeyError('a/b')"
    packed = json.dumps({"x": html.escape(json.dumps({"y": text}))}).encode()
    assert any(text in view for view in texts.views(packed))
    assert len(texts.views(b"%2525252525252525")) <= 4
    assert texts.inflated(b"no gzip") == b""
    assert len(texts.looked_at(b"x" * (8 << 20))) <= texts.MAX_LOOKED + 1


def test_a_bomb_is_unpacked_to_the_bound_only() -> None:
    import gzip

    assert len(texts.inflated(gzip.compress(bytes(64 << 20)))) == texts.MAX_LOOKED


@pytest.mark.alone
def test_an_ordinary_answer_costs_next_to_nothing_and_a_large_one_linear_time() -> None:
    judge = Judge(Raised())
    body = b'{"items":[%b]}' % b",".join(b'{"id":%d,"name":"abc"}' % n for n in range(40))
    best = min(_seconds(judge, body, 2_000) for _ in range(7))
    assert best < 2e-6, best
    hostile = b"/function/code/<a" * (6 << 16)
    assert _seconds(judge, hostile, 1) < 2.0
    assert suspicious(hostile)


def _seconds(judge: Judge, body: bytes, turns: int) -> float:
    started = time.process_time()
    for _ in range(turns):
        judge.find(b"{}", body)
    return (time.process_time() - started) / turns


def test_bodies_are_read_as_they_are_packed_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"KeyError('of this call')"
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = {
        b"gzip": gzip.compress(text),
        b"deflate": zlib.compress(text),
        b"br": brotli.compress(text),
        b"zstd": zstandard.ZstdCompressor().compress(text),
    }
    for encoding, body in packed.items():
        assert texts.unpacked(body, encoding) == text, encoding
        assert texts.unpacked(b"no such body", encoding) == b""
    assert texts.unpacked(raw.compress(text) + raw.flush(), b"deflate") == text
    assert texts.unpacked(text, b"identity") == b""
    monkeypatch.delitem(sys.modules, "zstandard")
    assert texts.unpacked(packed[b"zstd"], b"zstd") == b"", "nobody here has packed it"

    judge, seen = Judge(noted(KeyError("of this call"))), []
    monkeypatch.setattr(judgement, "views", lambda data: seen.append(data) or texts.views(data))
    head = b'{"headers":[["Content-Encoding", "gzip"]]}'
    assert judge.find(head, packed[b"gzip"]) is not None
    assert seen == [text, head], "what is packed is looked at, and nothing twice"
    assert judge.find(head, text) is not None, "a head that says more than is so"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_texts_of_two_bytes_a_character_are_read(encoding: str) -> None:
    assert texts.views("a;b\né".encode(encoding))[0].lstrip("\ufeff") == "a;b é"


def test_what_base64_holds_is_read_and_bounded() -> None:
    text = b'{"error": "KeyError(1) of this call"}'
    for one in (text, zlib.compress(text)):
        for made in (base64.b64encode(one), base64.urlsafe_b64encode(one).rstrip(b"=")):
            assert texts.views(b"session=." + made + b".sig")[-1] == text.decode()
    assert len(texts.views(b"A" * 64)) == 2  # it holds zeros, which are a text
    bomb = base64.b64encode(zlib.compress(bytes(8 << 20)))
    assert len(texts.views(bomb)[-1]) <= texts.MAX_LOOKED
    many = b" ".join([base64.b64encode(bytes(range(32, 60)))] * 20_000)
    before = time.process_time()
    assert len(texts.views(many)[-1]) < 1_024 * 30
    assert time.process_time() - before < 1.0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[{"file": "app.py", "line": 3}]', True),
        ('{"filename": "/x/app.py", "function": "f", "lineno": 3}', True),
        ("failed in app.py on line 3.", True),
        ("app.py(3)", True),
        ("app.py, line 30", False),
        ("app.py has a bug; there are 3 like it", False),
        ("other_app.py, line 3", False),
    ],
)
def test_a_place_is_a_file_with_its_line_in_whatever_words(text: str, found: bool) -> None:
    notes, code = Raised(), compile("\n\nraise KeyError('x')", "/function/code/app.py", "exec")
    try:
        exec(code, {})
    except KeyError:
        notes.caught()
    exposure = Judge(notes).find(b"{}", text.encode())
    assert (exposure is not None) is found, exposure
