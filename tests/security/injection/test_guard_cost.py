"""No event, and no answer of a capability, makes the guard work long, or hold much."""

from __future__ import annotations

import base64
import contextlib
import random
import sys
import time
import tracemalloc
import unicodedata
from collections.abc import Callable
from types import FrameType

import pytest
from bench.guard_hostile import HOSTILE

from casemate.guard.budget import MAX_COMPARED, Budget, ExhaustedError
from casemate.guard.core import Guard
from casemate.guard.needles import Needles
from casemate.guard.sql.structure import judge
from casemate.guard.sql.tokens import Dialect
from casemate.guard.verdict import BlockedError

_SECONDS = 1.0
"""Twenty times the target, of the processor: other processes run at the same time."""
_MEGABYTE = 1 << 20


def asked(value: object, text: str = "SELECT a" + "a" * 500) -> Guard:
    """Return a guard that a sink has asked about a text that nobody was seen making."""
    guard = Guard("/nowhere")
    guard.begin({})
    guard.add("bucket:photos", value)
    guard.spans(text)
    return guard


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_event_is_bounded_in_time(name: str) -> None:
    value = HOSTILE[name]()
    begun = time.process_time()
    with contextlib.suppress(ExhaustedError):
        asked(value)
    assert time.process_time() - begun < _SECONDS


def _steps(value: object) -> int:
    """Count the calls that a first question makes: they take the time, on any machine."""
    count = 0

    def counted(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    guard = Guard("/nowhere")
    guard.begin(value)
    sys.setprofile(counted)
    try:
        with contextlib.suppress(ExhaustedError):
            guard.spans("".join(["SELECT a FROM t WHERE b = 'x;' AND (c OR d) -- ", "e"]))
    finally:
        sys.setprofile(None)
    return count


_MANY_TEXTS: dict[str, Callable[[int], str]] = {
    "short": lambda n: f"{n}a;",
    "sentences": lambda n: f"{n} is; a <b> text",
    "quoted": lambda n: f"it's {n}",
    "coded": lambda n: base64.b64encode(b"word %d" % n).decode(),
    "percent signs": lambda n: f"{n}%",
    "brackets": lambda n: f"[{n}",
    "braces": lambda n: f"{{{n}}}",
    "accents": lambda n: f"é{n}",
    "accents and quotes": lambda n: f"é'{n}\"",
    "backslashes": lambda n: f"\\{n}",
    "ampersands": lambda n: f"&{n};",
    "line breaks": lambda n: f"a\n{n}",
    "blanks at the ends": lambda n: f" {n}; ",
    "quotes at the ends": lambda n: f"'{n}'",
    "Turkish": lambda n: f"\u0130{n}",
    "emoji": lambda n: f"\U0001f600{n};",
    "names of hosts": lambda n: f"a{n}.example;",
    "dotted words": lambda n: f"a{n}.example",
}


@pytest.mark.parametrize("kind", _MANY_TEXTS)
def test_many_texts_take_few_steps_each(kind: str) -> None:
    make = _MANY_TEXTS[kind]
    # Seldom forms have a budget, which is used up by then.
    few, many = (_steps([make(n) for n in range(count)]) for count in (5_000, 10_000))
    assert (many - few) / 5_000 < 20


@pytest.mark.parametrize("kind", _MANY_TEXTS)
def test_ever_more_texts_take_no_more_steps_than_the_budget(kind: str) -> None:
    make = _MANY_TEXTS[kind]
    ten, hundred = (_steps([make(n) for n in range(count)]) for count in (10_000, 100_000))
    assert hundred < 11 * ten + 50_000
    assert hundred < 900_000


@pytest.mark.alone
@pytest.mark.parametrize("size", [100_000, _MEGABYTE, 6 * _MEGABYTE])
def test_data_without_text_costs_next_to_nothing(size: int) -> None:
    data = random.Random(size).randbytes(size)
    tracemalloc.start()
    try:
        guard = asked(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * min(size, _MEGABYTE) + size
    assert guard.taint is not None
    assert not guard.taint.overflown
    begun = time.process_time()
    asked(data)
    assert time.process_time() - begun < _SECONDS


def test_data_is_known_whole_and_in_part() -> None:
    data = random.Random(1).randbytes(50_000)
    guard = asked(data)
    assert guard.whole(bytes(bytearray(data))) is not None
    assert guard.taint is not None
    assert guard.taint.of_data(data[1000:2000]) is not None
    assert guard.taint.of_data(random.Random(2).randbytes(1000)) is None


def test_texts_in_data_are_found() -> None:
    data = b"\xff\xd8\x00\x01" + b"x' OR 1=1 --" + random.Random(1).randbytes(5000)
    data += b"\x00" + "wide' OR 1=1".encode("utf-16-le") + b"\x00\xff"
    guard = asked(data)
    for text in ("x' OR 1=1 --", "wide' OR 1=1"):
        (span,) = guard.spans("".join(["SELECT '", text, "'"]))
        assert span.origin.source == "bucket:photos"


def _seconds(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        call()
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.alone
def test_a_statement_with_many_values_is_judged_in_linear_time() -> None:
    def statement(values: int) -> Callable[[], object]:
        guard = Guard("/nowhere")
        event = {"all": [f"name;{n}" for n in range(values)]}
        guard.begin(event)
        parts = ["INSERT INTO t VALUES "]
        for value in event["all"]:
            parts += ("('", value, "'), ")
        text = guard.provenance.joined("".join, parts)
        return lambda: judge(text, guard.spans(text), (Dialect.SQLITE,))

    assert _seconds(statement(320)) < 12 * _seconds(statement(80)) + 0.02


@pytest.mark.alone
def test_a_statement_that_grows_in_steps_is_judged_in_linear_time() -> None:
    def steps(number: int) -> Callable[[], object]:
        guard = Guard("/nowhere")
        event = {"v": "x' OR 1"}
        guard.begin(event)
        text = "SELECT 1"
        for n in range(number):
            text = guard.provenance.join(0b1010, text, f" OR {n} = '", event["v"], "'")
        return lambda: guard.spans(text)

    assert len(steps(200)()) == 200  # type: ignore[arg-type]
    assert _seconds(steps(400)) < 12 * _seconds(steps(100)) + 0.02


def test_needles_that_begin_alike_are_bounded() -> None:
    needles = Needles()
    for number in range(20_000):
        needles.add("a" * (number % 300 + 3) + str(number), "")
    with pytest.raises(ExhaustedError):
        list(needles.find("a" * 20_000))


def test_the_end_of_the_budget_is_a_refusal_that_says_so() -> None:
    guard = Guard("/nowhere")
    told: list[dict[str, object]] = []
    guard.report = told.append
    guard.begin({"v": "x"})

    def question() -> None:
        Budget(MAX_COMPARED).spend(MAX_COMPARED + 1)

    with pytest.raises(BlockedError):
        guard.decide("sql", question)
    assert "more than it looks at" in str(told[0]["changed"])


def test_what_cannot_be_looked_at_whole_is_taken_as_the_events() -> None:
    guard = Guard("/nowhere")
    guard.begin([f"{n};%41" for n in range(80_000)])
    (span,) = guard.spans("".join(["SELECT ", "1"]))
    assert span.origin.decoding == ("more than the guard looks at",)


def _time(work: Callable[[], object]) -> float:
    """Return seconds of this thread's processor time, the least of some rounds."""
    taken = []
    for _ in range(5):
        begun = time.thread_time()
        work()
        taken.append(time.thread_time() - begun)
    return min(taken)


@pytest.mark.alone
@pytest.mark.parametrize(
    "text", ["".join(map(chr, range(32, 0xD7FF))) * 2, "\ufdfa" * (1 << 16)], ids=["all", "grow"]
)
def test_normal_forms_are_made_a_few_times(text: str) -> None:
    """What may be encoded in a text is looked for in each of its forms, but is made normal once."""
    once = _time(lambda: unicodedata.normalize("NFKC", "".join(map(chr, range(32, 0xD7FF))) * 2))
    assert _time(lambda: asked({"v": text})) < 5 * once


@pytest.mark.alone
def test_what_is_longer_than_the_searched_text_costs_no_search() -> None:
    data = bytes(random.Random(3).choices(b"abc;'\" <>", k=1 << 20))
    short = _time(lambda: asked(data))
    assert _time(lambda: asked(data, "b" * 100_000)) < 2 * short


def test_a_text_as_long_as_the_searched_one_is_found() -> None:
    text = "a;'" * 3000
    guard = asked({"v": f"  '{text}'  "})
    assert [(s.start, s.end) for s in guard.spans(f"x{text}")][:1] == [
        (1, len(text))
    ]  # its last quote may be the code's


def test_a_normal_form_is_looked_for_once_and_found() -> None:
    guard = asked({"v": "cafe\u0301+\uff07 OR 1=1"})
    for found in ("caf\xe9 \uff07 OR 1=1", "caf\xe9 ' OR 1=1", "caf\xe9+' OR 1=1"):
        assert guard.whole(found) is not None, found
