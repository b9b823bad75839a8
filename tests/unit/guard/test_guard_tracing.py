"""Where in a text the event's data is, by how the code made the text."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.constants import Constants
from casemate.guard.generations import MAX_NOTED, MAX_TEXT
from casemate.guard.pieces import as_text
from casemate.guard.provenance import Provenance
from casemate.guard.taint import Taint
from casemate.guard.tracing import Tracer


def setting(event: object, constants: tuple[str, ...] = ()) -> tuple[Provenance, Tracer]:
    provenance = Provenance()
    provenance.begin()
    held = Constants()
    for constant in constants:
        held.take(constant)
    taint = Taint(held.holds_word)
    taint.add("event", event)
    return provenance, Tracer(taint, provenance, held.holds, held.standing_in)


def new(text: str) -> str:
    """Return a text with an identity of its own, as data has it."""
    return "".join(list(text))


def parts(tracer: Tracer, value: str | bytes) -> list[str]:
    text = as_text(value)
    return [text[s.start : s.end] for s in tracer.spans(value)]


TEMPLATES = (
    *("a '%s' b", "%s '%s' b", "a '%(v)s' b", "a '{}' b", "a '{v}' b", "{1} '{0}' b", "a '@' b"),
)
MAKERS: dict[str, Callable[[Provenance, str], Any]] = {
    "f-string": lambda p, v: p.join(0b101, "a '", v, "' b"),
    "addition": lambda p, v: p.add(0b10, p.add(0b01, "a '", v), "' b"),
    "percent": lambda p, v: p.percent("a '%s' b", v),
    "percent of a tuple": lambda p, v: p.percent("%s '%s' b", ("a", v)),
    "percent of a dict": lambda p, v: p.percent("a '%(v)s' b", {"v": v}),
    "format": lambda p, v: p.call("a '{}' b".format, v),
    "format by name": lambda p, v: p.call("a '{v}' b".format, v=v),
    "format by number": lambda p, v: p.call("{1} '{0}' b".format, v, "a"),
    "format_map": lambda p, v: p.call("a '{v}' b".format_map, {"v": v}),
    "join": lambda p, v: p.joined(" ".join, ["a", p.join(0b101, "'", v, "'"), "b"]),
    "join of a generator": lambda p, v: p.joined("".join, (x for x in ("a '", v, "' b"))),
    "replace": lambda p, v: p.call("a '@' b".replace, "@", v),
    "a text that grows": lambda p, v: p.augment(0b10, p.augment(0, "a '", v), "' b"),
}


@pytest.mark.parametrize("how", MAKERS)
@pytest.mark.parametrize("value", ["'", "b", "a '", "x' OR 1=1", "it's", "%s", "{}"])
def test_the_place_of_a_value_is_exact(how: str, value: str) -> None:
    """Even of one that is also elsewhere in the text, or a single quote."""
    value = new(value)
    own = ("a '", "' b", "a", "b", " ", "'", *TEMPLATES)
    provenance, tracer = setting({"v": value}, constants=own)
    text = MAKERS[how](provenance, value)
    assert text == f"a '{value}' b"
    # A single character is one object wherever it stands: the code's own counts as well.
    (span,) = [s for s in tracer.spans(text) if s.start == 3 or len(value) > 1]
    assert (span.start, span.end, span.exact) == (3, 3 + len(value), True)
    assert span.origin.pointer == "/v"


@pytest.mark.parametrize(
    "change",
    [
        lambda p, v: p.call(v.replace, "x", "yy"),
        lambda p, v: p.cut(v, 2, None, None),
        lambda p, v: p.cut(v, None, None, -1),
        lambda p, v: p.call(v.swapcase),
        lambda p, v: p.call(v.split, "|")[1],
        lambda p, v: p.call(base64.b64encode, p.call(v.encode)),
        lambda p, v: p.call(p.call(v.encode).decode),
        lambda p, v: p.call(v.translate, {ord("x"): "z"}),
    ],
)
def test_what_was_made_of_a_value_is_all_of_it(change: Callable[..., Any]) -> None:
    value = new("axxB|cxx 'D' é")
    provenance, tracer = setting({"v": value})
    made = change(provenance, value)
    spans = tracer.spans(made)
    assert [(s.start, s.end) for s in spans] == [(0, len(as_text(made)))]


def test_a_changed_statement_keeps_the_place_of_its_value() -> None:
    value = new("x' --")
    provenance, tracer = setting({"v": value})
    text = provenance.join(0b101, "  select '", value, "'  ")
    for made in (provenance.call(text.strip), provenance.call(text.upper)):
        (part,) = parts(tracer, made)
        assert part.lower() == "x' --"


def test_a_literal_of_the_code_is_never_the_events() -> None:
    value = new("same text")
    provenance, tracer = setting({"v": value}, constants=("same text",))
    assert tracer.spans("same text") == []
    assert tracer.spans(provenance.join(0b11, "same text", "same text")) == []
    (span,) = tracer.spans(provenance.join(1, "a ", value))
    assert span.checked == ""


def test_what_nobody_was_seen_making_is_searched() -> None:
    _, tracer = setting({"v": "x' OR 1=1"})
    (span,) = tracer.spans("name = 'x' or 1=1'")
    assert (span.start, span.end, span.exact) == (8, 17, False)


def test_a_coincidence_with_a_text_of_the_code_is_vouched_for() -> None:
    event = {"a": "people (id, name)", "b": "other (id)"}
    _, tracer = setting(event, constants=("INSERT INTO people (id, name) VALUES %s",))
    spans = tracer.spans("INSERT INTO people (id, name) VALUES (1), other (id)")
    assert [s.checked for s in spans] == ["constant", ""]


def test_a_filter_by_character_is_seen() -> None:
    value = new("x'; DROP TABLE t; --")
    provenance, tracer = setting({"v": value})
    made = provenance.joined("".join, [c for c in value if c != " "])
    assert parts(tracer, made) == [made]
    assert parts(tracer, provenance.joined("".join, [c for c in value if c.isalpha()])) == []


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (lambda p, v: p.member(v, ["name", "id"]), "member"),
        (lambda p, v: p.member(v, {"name": 1}), "member"),
        (lambda p, v: p.member(v, "a name"), ""),
        (lambda p, v: p.member(v, ["other"]), ""),
        (lambda p, v: p.call(v.isalnum), "word"),
        (lambda p, v: p.call(v.isdigit), ""),
        (lambda p, v: p.call(__import__("re").fullmatch, "[a-z]+", v), "pattern"),
        (lambda p, v: p.call(__import__("re").compile("[a-z]+").match, v), "pattern"),
        (lambda p, v: p.call(__import__("re").fullmatch, "[0-9]+", v), ""),
    ],
)
def test_checks_are_noted(check: Callable[..., Any], expected: str) -> None:
    value = new("name")
    provenance, tracer = setting({"v": value})
    check(provenance, value)
    (span,) = tracer.spans(value)
    assert span.checked == expected


def test_the_events_own_collections_vouch_for_nothing() -> None:
    event = {"v": new("name"), "all": [new("name")]}
    provenance, tracer = setting(event)
    provenance.member(event["v"], event["all"])
    provenance.member(event["v"], {event["v"]})
    (span,) = tracer.spans(event["v"])  # type: ignore[arg-type]
    assert span.checked == ""


def test_whole_values_are_told_from_parts() -> None:
    event = {"v": new("some text"), "o": {"$gt": ""}}
    provenance, tracer = setting(event)
    assert tracer.whole(event["v"]) is not None
    assert tracer.whole(event["o"]) is not None
    assert tracer.whole(provenance.join(1, "a ", event["v"])) is None  # type: ignore[arg-type]
    assert tracer.whole({"$gt": ""}) is None
    parsed = provenance.call(lambda text: {"a": text + "!"}, event["v"])
    assert tracer.whole(parsed) is not None


def test_a_source_that_is_too_large_marks_all_that_is_unknown() -> None:
    _, tracer = setting({"v": "x"}, constants=("SELECT 1",))
    tracer._taint.overflown = True
    assert parts(tracer, "something made elsewhere") == ["something made elsewhere"]
    assert parts(tracer, "SELECT 1") == []


def test_notes_are_bounded_and_the_newest_kept() -> None:
    provenance, _ = setting({})
    made = [provenance.join(1, f"text {n} ", "x") for n in range(3 * MAX_NOTED)]
    assert provenance.of(made[-1]) is not None
    assert provenance.of(made[0]) is None
    assert sum(provenance.of(text) is not None for text in made) <= 2 * MAX_NOTED
    long = provenance.join(1, "a", "b" * MAX_TEXT)
    assert provenance.of(long) is None


def test_nothing_is_noted_outside_of_an_invocation() -> None:
    provenance, _ = setting({})
    provenance.end()
    text = provenance.join(1, "a ", new("b"))
    provenance.begin()
    assert provenance.of(text) is None


def test_bytes_of_any_kind_are_text() -> None:
    assert as_text(b"a\xff") == "a\udcff"
    _, tracer = setting({"v": "x' --"})
    assert parts(tracer, b"name = 'x' --'") == ["x' --"]


TEXT = st.text(max_size=8)


@given(st.lists(st.tuples(TEXT, st.booleans()), min_size=1, max_size=8))
def test_any_composition_is_exact(pieces: list[tuple[str, bool]]) -> None:
    """Of literals and values: exactly the values are found, wherever they stand."""
    values = [new(text) for text, is_value in pieces if is_value]
    provenance, tracer = setting({"all": values})
    rest = iter(values)
    items = [(next(rest) if is_value else text) for text, is_value in pieces]
    mask = sum((not is_value) << n for n, (_, is_value) in enumerate(pieces))
    text = provenance.join(mask, *items)
    if provenance.of(text) is None:
        return
    expected, place = [], 0
    for item, (_, is_value) in zip(items, pieces, strict=True):
        if is_value and item:
            expected.append((place, place + len(item)))
        place += len(item)
    assert [(s.start, s.end) for s in tracer.spans(text)] == expected


def test_what_was_trimmed_and_formatted_since_is_found_by_what_it_was_made_of() -> None:
    value = new("x'|OR 1=1|--")
    provenance, tracer = setting({"v": value})
    made = provenance.call(value.replace, "|", " ")
    padded = provenance.join(0, "  ", made, " \n")
    provenance.of(padded)
    # `padded.strip().upper()`, only formatted afterwards: of this there is no note.
    text = "select '" + f"{padded.strip().upper():<20}" + "'"
    (span,) = tracer.spans(new(text))
    assert text[span.start : span.end].strip().lower() == "x' or 1=1 --"
