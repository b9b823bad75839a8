"""What is noted of exceptions: enough to know them again, bounded, and never the exceptions."""

from __future__ import annotations

import base64
import bz2
import datetime
import decimal
import gc
import gzip
import html
import json
import pickle
import subprocess
import sys
import time
import weakref
import zlib
from typing import Any

import brotli
import pytest
import zstandard

from casemate.guard.leaks import drivers, judgement, raised, spelled, texts
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


def test_all_that_decimal_says_is_nobody_s_and_its_repr_is() -> None:
    [source] = noted(decimal.DivisionByZero([decimal.DivisionByZero])).sources()
    [text] = source.texts
    found = [needle for _, needle in needles(source)]
    assert text.message == "[<class 'decimal.DivisionByZero'>]"
    assert not [needle for needle in found if needle in text.message]
    assert text.shown in found and f"DivisionByZero: {text.message}" in found
    other = noted(json.JSONDecodeError("odd", "x", 0)).sources()
    assert "<class 'json.decoder.JSONDecodeError'>" in [n for s in other for _, n in needles(s)]


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
    assert len(texts.views(b"%2525252525252525")) <= 3 * 5  # each backwards and by rot13 as well
    assert texts.inflated(b"no gzip") == b""
    assert len(texts.looked_at(b"x" * (8 << 20))) <= texts.MAX_LOOKED + 1


def test_a_bomb_is_unpacked_to_the_bound_only() -> None:
    import gzip

    bomb = gzip.compress(bytes(64 << 20))
    assert len(texts.inflated(bomb)) == texts.MAX_LOOKED
    assert len(texts.parts(bomb * 9)) <= texts.MAX_LOOKED
    assert len(texts.parts(gzip.compress(bomb))) <= 2 * texts.MAX_LOOKED + 1


@pytest.mark.parametrize(
    "signs",
    ["a ", '"a", ', "12 ", "1,", '"\'"', "<~", "x~", "\"'", "!u", "'\n", "begin 644 x\n", "\xe9-"],
)
def test_what_may_be_written_otherwise_takes_linear_time_within_a_bound(signs: str) -> None:
    def seconds(size: int) -> float:
        text = (signs * size)[:size]
        started = time.process_time()
        made = list(spelled.respelled(text))
        assert sum(map(len, made)) < 64 * max(size, 1_024)
        return time.process_time() - started

    most = spelled.MAX_SPELLED
    assert seconds(most) < 16 * max(seconds(most // 4), 0.01)
    assert not list(spelled.respelled("a" * (most + 1)))


@pytest.mark.parametrize(
    "hostile",
    [
        b"PK\x03\x04" * (1 << 18),
        b"\x1f\x8b\x08" * (1 << 18),
        b"BZh91AY&SY" * (1 << 17),
        b"A" * (1 << 20),
        (b"A" * 76 + b"\n") * (1 << 13),
        b"ab" * (1 << 19),
        b"<" * (1 << 20),
        b"\x1b[" * (1 << 19),
        b"=\t" * (1 << 19),
        b"\\ud83d" * (1 << 17),
        b"?= =?a" * (1 << 17),
        b"\\123\\" * (1 << 17),
    ],
    ids=lambda data: repr(data[:8]),
)
def test_what_only_looks_packed_or_escaped_takes_linear_time(hostile: bytes) -> None:
    def seconds(data: bytes) -> float:
        started = time.process_time()
        texts.views(texts.parts(data) or data)
        return time.process_time() - started

    assert seconds(hostile) < 16 * max(seconds(hostile[: len(hostile) // 4]), 0.03)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("1054, \"Unknown column 'salary_band' in 'field list'\"", "Unknown column 'salary_band'"),
        (
            "'relation missing\\nDETAIL:  Key (email)=(ann@a.org) exists.'",
            "Key (email)=(ann@a.org)",
        ),
    ],
)
def test_parts_of_a_driver_s_error_are_its_texts(error: str, told: str) -> None:
    names: dict[str, Any] = {"__name__": "pymysql.err"}
    exec("class Error(Exception):\n    pass\n", names)
    made = eval(f"Error({error})", names)
    made.statement = "select salary_band from staff"
    raised = Raised()
    raised.note(made)
    judge = Judge(raised)
    for said in (told, "select salary_band from staff"):
        answer = ("Sorry. " + said + (" exists." if "Key" in said else " in 'field list'")).encode()
        found = judge.find(b"{}", answer)
        assert found is not None and found.kind == "database", said
    assert judge.find(b"{}", b"staff: Error, salary_band") is None


@pytest.mark.parametrize(
    "text",
    [
        "Error: x\n    at handler (/function/code/app.js:12:5)",
        "panic: x\n\t/function/code/main.go:12 +0x1d",
        "PHP Fatal error: x in /function/code/index.php on line 12",
        "#0 /function/code/index.php(12): connect()",
        "/function/code/app.rb:12:in `connect'",
        "   at Shop.Run() in /function/code/Shop.cs:line 12",
        '{"frames":[{"file":"/function/code/app.py","line":2,"name":"boom","src":""}]}',
        r'{"e":"{\"filename\": \"/function/code/app.py\", \"lineno\": 2}"}',
        "thread 'main' panicked at /function/code/main.rs:12:5:",
    ],
)
def test_places_of_other_languages_are_known_by_their_looks(text: str) -> None:
    found = trace_in(text.encode())
    assert found is not None and found.kind == "trace"


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
    monkeypatch.delitem(sys.modules, "compression.zstd", raising=False)
    assert texts.unpacked(packed[b"zstd"], b"zstd") == b"", "nobody here has packed it"

    judge, seen = Judge(noted(KeyError("of this call"))), []
    monkeypatch.setattr(judgement, "views", lambda data, *_: seen.append(data) or texts.views(data))
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
            assert text.decode() in texts.views(b"session=." + made + b".sig")
    assert any(bytes(48).decode() in view for view in texts.views(b"A" * 64))  # it holds zeros
    bomb = base64.b64encode(zlib.compress(bytes(8 << 20)))
    assert max(map(len, texts.views(bomb))) <= texts.MAX_LOOKED
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


class OwnError(Exception):
    pass


def met(code: str, *, by: str = "/function/code/app.py") -> Raised:
    """Return what is noted of code that raises."""
    notes = Raised()
    try:
        exec(compile(code, by, "exec"), {"OwnError": OwnError, "subprocess": subprocess})
    except Exception:
        notes.caught()
    return notes


OWN = 'raise OwnError("the pin of account 17 is 4711-0815")'
NOTED = 'error = OwnError("no")\nerror.add_note("while shard 7 of billing was read")\nraise error'
COMMAND = "raise subprocess.CalledProcessError(1, ['pg_dump', '--password', 'x'])"
SAID = "OwnError: the pin of account 17 is 4711-0815"


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (OWN, "[OwnError] the pin of account 17 is 4711-0815"),
        (OWN, "OwnError - the pin of account 17 is 4711-0815"),
        (OWN, "\N{ZERO WIDTH SPACE}".join(SAID)),
        (OWN, SAID.replace("pin", "p\N{SOFT HYPHEN}in")),
        (OWN, "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in SAID)),
        (OWN, base64.b64encode(pickle.dumps({"t": SAID})).decode()),
        (OWN, base64.b64encode(bz2.compress(SAID.encode())).decode()),
        (OWN, base64.b64encode(zlib.compress(SAID.encode())[2:-4]).decode()),
        (OWN, json.dumps(list(html.escape(f"OwnError('{SAID[10:]}')")))),
        (NOTED, "while shard 7 of billing was read"),
        ("import billing_of_shard_7", "No module named 'billing_of_shard_7'"),
        (COMMAND, "Command '['pg_dump', '--password', 'x']' returned non-zero exit status 1."),
        ("open('keys/prod.pem')", "[Errno 2] No such file or directory: 'keys/prod.pem'"),
        ("open('/function/code/prod.yaml')", '{"file": "/function/code/prod.yaml"}'),
        ("raise LookupError('no x in /function/code/pages')", "no x in /function/code/pages"),
        (OWN, "it says app.py, line 1"),
    ],
)
def test_an_exception_is_known_in_more_words(code: str, answer: str) -> None:
    exposure = Judge(met(code)).find(b"{}", answer.encode())
    assert exposure is not None
    others = Judge(met("raise OwnError('something else')", by="/b.py"))
    assert others.find(b"{}", answer.encode()) is None


def test_what_all_exceptions_of_a_place_begin_with_is_known() -> None:
    notes = Raised()
    for number in range(100):
        try:
            raise OwnError(f"bad row {number} of account {number + 1000}")
        except OwnError:
            notes.caught()
    assert Judge(notes).find(b"{}", b"OwnError('bad row 40 of account 1040')") is not None
    assert Judge(notes).find(b"{}", b"bad row 40 of account 1040") is None


TRACE_OF_OTHERS = "Traceback\n  File \"{}\", line {}, in f\n    x\nKeyError: 'id'"
LINT = "".join(f"app.py:{number}:1: E501 line too long\n" for number in range(1, 30))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (TRACE_OF_OTHERS.format("/srv/shop/app.py", 812), False),
        (json.dumps({"log": TRACE_OF_OTHERS.format("/srv/shop/app.py", 812)}), False),
        (html.escape(TRACE_OF_OTHERS.format("<stdin>", 812)), False),
        (TRACE_OF_OTHERS.format("/srv/shop/app.py", 3), True),
        (TRACE_OF_OTHERS.format("<stdin>", 812) + " and KeyError: 'id'" * 40, True),
        ("KeyError: 'id'", True),
        (LINT, False),
        ('{"file": "app.py", "line": 3}', True),
    ],
)
def test_the_end_of_another_program_s_trace_passes_and_so_does_a_linter_s_list(
    answer: str, found: bool
) -> None:
    notes = met("\n\nraise KeyError('id')")
    assert (Judge(notes).find(b"{}", answer.encode()) is not None) is found


def test_links_into_the_bundle_and_django_s_list_of_routes_are_known() -> None:
    for text in ("file:///function/code/app.py#L30", "/function/code/app.py#723 handler"):
        assert trace_in(text.encode()) is not None
    page = b'<!DOCTYPE html>\n<div id="summary">Using the URLconf</div> <code>DEBUG = True</code>'
    assert page_in(page) is not None
    assert page_in(b"<p>" + page) is None


def test_the_name_of_code_without_a_file_makes_no_trace_one_s_own() -> None:
    code = "\n" * 6 + "raise KeyError('id')"
    notes = met(f"exec(compile({code!r}, '<string>', 'exec'))")
    assert ("<string>", 7) in [frame[:2] for each in notes.sources() for frame in each.frames]
    page = html.escape(TRACE_OF_OTHERS.format("<stdin>", 7), quote=False)
    assert Judge(notes).find(b"{}", f"<pre>{page}</pre>".encode()) is None


# -- exceptions that say nothing but what the caller sent --------------------------------------


def converted(how: str, value: str) -> BaseException:
    try:
        if how == "int":
            int(value)
        elif how == "float":
            float(value)
        elif how == "date":
            datetime.date.fromisoformat(value)
        else:
            {}[value]
    except (ValueError, KeyError) as error:
        return error
    raise AssertionError(value)


def shows(error: BaseException, *, of_event: bool, root: str = "") -> bool:
    notes = Raised()
    notes.is_of_event = lambda text: of_event and bool(text)
    notes.root = root
    noted(error, notes)
    judge = Judge(notes)
    forms = (f"{type(error).__name__}: {error}", repr(error), f"[{type(error).__name__}] {error}")
    found = {judge.find(b"{}", json.dumps({"error": form}).encode()) is None for form in forms}
    assert len(found) == 1
    return found.pop()


@pytest.mark.parametrize("how", ["int", "float", "date", "key"])
@pytest.mark.parametrize(
    "value", ["three", "O'Brien", "say \"x\" 'y'", " padded", "\u00fc\n2", "a" * 90]
)
def test_what_the_caller_sent_may_be_shown(how: str, value: str) -> None:
    assert shows(converted(how, value), of_event=True)
    assert not shows(converted(how, value), of_event=False)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a", "b"),
        KeyError(7, 8),
        ValueError("could not convert string to float: 'x'.inside"),
        ValueError("invalid literal for int() with base 10: ['x']"),
        ValueError("invalid literal for int() with base 10: 'x'", "and more"),
        ValueError("the password of the database is 'x'"),
        type("Special", (ValueError,), {})("could not convert string to float: 'x'"),
        AttributeError("'list' object has no attribute 'items'"),
        FileNotFoundError(2, "No such file or directory", "x"),
    ],
    ids=repr,
)
def test_whatever_else_python_says_is_withheld(error: BaseException) -> None:
    assert not shows(error, of_event=True)


def test_a_class_of_the_code_s_own_may_be_shown_by_its_name() -> None:
    class Refused(Exception):
        pass

    root = __file__.rpartition("/")[0] + "/"
    assert shows(Refused("user information is not taken"), of_event=False, root=root)
    assert not shows(Refused("user information is not taken"), of_event=False, root="/elsewhere/")
    assert not shows(Refused("user information is not taken"), of_event=False)
    cause = Refused("it failed: 'inside'")
    cause.__cause__ = KeyError("inside")
    notes = Raised()
    notes.root = root
    noted(cause, notes)
    assert Judge(notes).find(b"{}", b'{"error": "KeyError: \'inside\'"}') is not None
