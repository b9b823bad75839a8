"""The texts of an event, found again."""

from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from casemate.guard import known as known_module
from casemate.guard.batches import lowered
from casemate.guard.origin import Origin, Span
from casemate.guard.spans import merged
from casemate.guard.taint import Taint


def index(event: object, words: tuple[str, ...] = ()) -> Taint:
    made = Taint(lambda word: word in words)
    made.add("event", event)
    return made


def found(taint: Taint, text: str) -> list[tuple[str, str]]:
    return [(text[s.start : s.end], s.origin.pointer) for s in taint.search(text)]


def test_every_text_is_known_by_its_pointer() -> None:
    made = index({"a": ["x1", {"b/c": "x2", "d~": 3.5}], "e": None, "f": True})
    for text, pointer in (("x1", "/a/0"), ("x2", "/a/1/b~1c"), ("3.5", "/a/1/d~0"), ("a", "/a#")):
        origin = made.exact(text)
        assert origin is not None
        assert origin.pointer == pointer
    assert made.exact("True") is None
    assert made.exact("None") is None


def test_a_key_that_is_no_word_is_not_shown() -> None:
    origin = index({"a' OR 1=1": "value"}).exact("value")
    assert origin is not None
    assert origin.pointer == "/?"
    assert "OR" not in origin.text


def test_decoded_forms_are_known_one_inside_the_other() -> None:
    inner = json.dumps({"q": "x' OR 1"})
    made = index({"body": base64.b64encode(inner.encode()).decode()})
    origin = made.exact("x' OR 1")
    assert origin is not None
    assert origin.decoding == ("base64", "JSON")
    assert origin.text == "/body/q of the event, decoded from base64, then JSON"


def test_texts_are_found_in_any_case_trimmed_and_escaped() -> None:
    made = index({"a": "  Or 1=1 ", "b": "it's", "c": "'quoted'"})
    assert found(made, "x OR 1=1 y") == [("OR 1=1", "/a")]
    assert found(made, "say it''s") == [("it''s", "/b")]
    assert found(made, r"say it\'s") == [(r"it\'s", "/b")]
    assert found(made, "say quoted") == [("quoted", "/c")]


def test_a_page_of_thousands_of_an_events_texts_is_searched() -> None:
    links = [f"https://shop.example/{'x' * (number % 60)}/{number}" for number in range(3000)]
    page = "".join(f'<li><a href="{link}">x</a></li>' for link in links)
    assert [text for text, _ in found(index({"v": links}), page)] == links


def test_short_texts_and_words_of_the_code_are_not_searched() -> None:
    made = index({"a": "'", "b": "or", "c": "name"}, words=("name",))
    assert found(made, "name or ' name") == []
    assert made.exact("'") is not None
    assert made.exact("name") is not None


def test_objects_are_known_by_identity() -> None:
    event = {"filter": {"$ne": None}, "list": [1]}
    made = index(event)
    for value, pointer in ((event, ""), (event["filter"], "/filter"), (event["list"], "/list")):
        origin = made.is_of(value)
        assert origin is not None
        assert origin.pointer == pointer
    assert made.is_of({"$ne": None}) is None
    assert made.key("$ne") is not None
    assert made.key("list") is not None
    assert made.key("other") is None


def test_part_of_a_text_is_known() -> None:
    made = index({"csv": "1,x' --,2"})
    origin = made.holding("x' --")
    assert origin is not None
    assert origin.pointer == "/csv"
    assert made.holding("y' --") is None


def test_a_source_that_comes_later_is_known_too() -> None:
    made = index({"a": "first"})
    assert made.exact("first") is not None
    made.add("table:orders", {"note": "second"})
    origin = made.exact("second")
    assert origin is not None
    assert (origin.source, origin.text) == ("table:orders", "/note of table:orders")
    assert made.holding("secon") is not None


def test_what_is_beyond_the_limits_is_said(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(known_module, "MAX_TEXTS", 10)
    made = index([f"text {n}" for n in range(20)])
    made.exact("x")
    assert made.overflown
    nested: object = "x"
    for _ in range(known_module.MAX_NESTING + 5):
        nested = [nested]
    deep = index(nested)
    deep.exact("x")
    assert deep.overflown


def test_nothing_is_looked_at_before_it_is_needed() -> None:
    class Unread(dict):  # type: ignore[type-arg]
        def items(self):  # type: ignore[no-untyped-def]
            raise AssertionError

    index(Unread())


ORIGIN = Origin("event", "")


def test_spans_are_merged() -> None:
    def span(start: int, end: int) -> Span:
        return Span(start, end, ORIGIN, exact=False)

    assert merged([span(5, 8), span(0, 4), span(1, 3)]) == [span(0, 4), span(5, 8)]
    assert merged([span(0, 4), span(2, 6)]) == [span(0, 6)]
    assert merged([span(0, 2), span(2, 4)]) == [span(0, 2), span(2, 4)]


@given(st.text())
def test_lower_case_is_as_long(text: str) -> None:
    assert len(lowered(text)) == len(text)


JSON = st.recursive(
    st.text(max_size=10) | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(JSON)
def test_every_text_of_any_event_is_known(event: object) -> None:
    made = index(event)
    todo = [event]
    while todo:
        item = todo.pop()
        if isinstance(item, str) and item:
            assert made.exact(item) is not None
            assert made.is_of(item) is not None
        elif isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            todo += item
