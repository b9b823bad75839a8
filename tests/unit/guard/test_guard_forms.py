"""The seldom forms of a text: each is found, none costs more than its budget."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import quopri
import time

import brotli
import cbor2
import msgpack
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from casemate.guard.forms import BUDGET, MAX_RARE, Forms

X = "x' OR '1'='1"
U = "x' OR 'ü'='ü"
DATA = X.encode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def forms(text: str) -> list[object]:
    return [form for _, form in Forms().of(text)]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (base64.b32encode(DATA).decode(), X),
        (base64.b32encode(DATA).decode().lower().rstrip("="), X),
        (base64.b85encode(DATA).decode(), X),
        (base64.a85encode(DATA).decode(), X),
        (base64.a85encode(DATA, adobe=True).decode(), X),
        (b64(bz2.compress(DATA)), X),
        (bz2.compress(DATA).hex(), X),
        (b64(lzma.compress(DATA)), X),
        (b64(lzma.compress(DATA, format=lzma.FORMAT_ALONE)), X),
        (b64(zstandard.ZstdCompressor().compress(DATA)), X),
        (b64(brotli.compress(DATA)), X),
        (b64(msgpack.packb({"n": X})), {"n": X}),
        (b64(cbor2.dumps({"n": X})), {"n": X}),
        (cbor2.dumps([X]).hex(), [X]),
        (b64(X.encode("utf-16")), X),
        (b64(X.encode("utf-16-le")), X),
        (b64(X.encode("utf-16-be")), X),
        (b64(X.encode("utf-32-le")), X),
        ("x+ACc- OR +ACc-1", "x' OR '1"),
        (quopri.encodestring(U.encode()).decode(), U),
        ("x=27 OR =271", "x' OR '1"),
        (f"=?utf-8?b?{b64(DATA)}?=", X),
        ("=?utf-8?q?x=27_OR?= =?utf-8?q?_1?=", "x' OR 1"),
        (U.encode("punycode").decode(), U),
        ("xn--" + U.encode("punycode").decode(), U),
        (X[::-1], X),
        (base64.b32encode(bz2.compress(DATA)).decode(), X),
        (base64.b85encode(gzip.compress(DATA, mtime=0)).decode(), X),
        (gzip.compress(DATA, mtime=0).decode(errors="surrogateescape"), X),
        (bz2.compress(DATA).decode(errors="surrogateescape"), X),
        (lzma.compress(DATA).decode(errors="surrogateescape"), X),
    ],
)
def test_each_form_is_undone(text: str, form: object) -> None:
    assert form in forms(text)


@pytest.mark.parametrize(
    "text",
    [
        "Ada Lovelace",
        "ada@example.com",
        "42",
        "some text of an order",
        "a_name",
        "/srv/files/a.txt",
    ],
)
def test_plain_texts_have_none(text: str) -> None:
    assert forms(text) == []


@given(st.text(max_size=400) | st.text(alphabet="+-AZaz09/=xn' ;", max_size=200))
@example("xn--")
def test_nothing_raises_and_nothing_is_of_the_texts_own_making(text: str) -> None:
    for how, form in Forms().of(text):
        assert how
        assert form != text or how in ("JSON", "a form")


def test_of_what_was_turned_no_more_is_made() -> None:
    seldom = Forms()
    [turned] = [form for how, form in seldom.of("x' -") if how == "the reverse"]
    assert list(seldom.of(str(turned))) == []


@pytest.mark.parametrize("bomb", [bz2.compress, lzma.compress, gzip.compress, brotli.compress])
def test_what_swells_is_left(bomb) -> None:
    text = b64(bomb(b"x" * (1 << 24)))
    assert all(len(str(form)) <= 1 << 20 for form in forms(text))


HOSTILE = ["!z#" * 2600, "=20" * 20000, "=?utf-8?q?" * 5000, "+AAA-" * 10000, "xn--" + "9" * 100]
HOSTILE += ["x' -" * 200, "ab-cd-ef" * 10, "?=" + " " * 60000, "A7" * 4000, "0" * MAX_RARE]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_many_hostile_texts_cost_what_the_budget_says(text: str) -> None:
    def seconds(number: int) -> float:
        seldom, begun = Forms(), time.process_time()
        for n in range(number):
            for _ in seldom.of(f"{text}{n % 10}"):
                pass
        return time.process_time() - begun

    many = 4 * BUDGET // len(text) + 8
    seldom = Forms()
    for n in range(many):
        for _ in seldom.of(f"{text}{n % 10}"):
            pass
    assert seldom._left >= 0
    assert seldom._slow >= 0
    # The budget is used up: beyond it only what any framework decodes is tried.
    assert seconds(2 * many) < 3 * seconds(many) + 0.5
