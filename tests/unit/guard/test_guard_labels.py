"""Labels of stored data: what they tell, their bounds, and what is made of any that come back."""

from __future__ import annotations

import base64
import json
import random
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.core import Guard
from casemate.guard.labels import MAX_LABELS, MAX_TEXTS, Labels

WHOLE = '[["","event",""]]'


def begun(event: object) -> tuple[Guard, Labels]:
    """Return a guard in an invocation, and its labels."""
    guard = Guard("/nowhere")
    guard.begin(event)
    return guard, Labels(guard)


def test_a_label_names_each_text_that_came_from_outside() -> None:
    event = {"user": {"name": "O'Neill"}, "tag~/": "one tag"}
    _, labels = begun(event)
    stored = {"a": event["user"]["name"], "b/c~": ["own", event["tag~/"]], "d": "own"}  # type: ignore[index]
    label = labels.of(stored)
    assert label is not None
    assert sorted(json.loads(label)) == [
        ["/a", "event", "/user/name"],
        ["/b~1c~0/1", "event", "/?"] if "/?" in label else ["/b~1c~0/1", "event", "/tag~0~1"],
    ]
    assert "Neill" not in label


def test_nothing_is_told_of_what_the_code_made() -> None:
    _, labels = begun({"name": "Ada Lovelace"})
    assert labels.of({"state": "open", "n": 7}) is None


def test_of_a_picture_no_form_is_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    guard, labels = begun({"name": "Ada Lovelace"})
    spans, seen = guard.spans, []
    monkeypatch.setattr(guard, "spans", lambda text: seen.append(text) or spans(text))
    assert labels.of(random.Random(7).randbytes(60_000)) is None
    counted = Counter((type(each), each) for each in seen)
    # Once more where less had to be undone for it: then more of it is.
    assert max(counted.values()) <= 2
    assert len(seen) < 1.5 * len(counted)  # before: 9 looks at 6 texts


def test_what_was_decoded_twice_is_found_whatever_else_is_decoded_so() -> None:
    _, labels = begun({"name": "O'Neill; --"})
    for stored in ("%254F'Neill%253B --", "%26%2379;'Neill%3B --"):
        found = labels.of(stored)
        assert found is not None
        assert json.loads(found)[0][2] == "/name"


def test_nothing_is_told_outside_of_an_invocation() -> None:
    event = {"name": "Ada Lovelace"}
    guard, labels = begun(event)
    guard.end()
    assert labels.of(event) is None


def test_what_does_not_fit_is_labelled_as_a_whole() -> None:
    event = {"items": [f"item number {n}" for n in range(MAX_TEXTS + 1)]}
    _, labels = begun(event)
    assert labels.of(event["items"]) == WHOLE
    long = {"k" * 300 + str(n): f"item number {n}" for n in range(100)}
    _, labels = begun(long)
    label = labels.of(long)
    assert label is not None
    assert len(label) <= MAX_LABELS
    assert label == WHOLE


def test_what_was_read_is_from_there_where_the_label_says_so() -> None:
    guard, labels = begun({})
    value = {"a": "first text", "b": ["second text", {"c": "third text"}], "key of it": 1}
    label = '[["/a","event","/x"],["/b/1/c","event","/y"],["/key of it#","event","/z"]]'
    labels.came("table:users", value, label)
    assert guard.whole(value["a"]) is not None
    assert guard.whole(value["b"][0]) is None  # type: ignore[index]
    assert guard.whole("third text").source == "table:users"  # type: ignore[union-attr]
    assert guard.whole("key of it") is not None


def test_without_a_label_all_is_trusted() -> None:
    guard, labels = begun({})
    for nothing in (None, "", b""):
        labels.came("table:users", {"a": "first text"}, nothing)
    assert guard.whole("first text") is None


@given(
    st.one_of(
        st.text(min_size=1),
        st.binary(min_size=1),
        st.lists(st.lists(st.text())).map(json.dumps),
        st.sampled_from(["[[1]]", '[["/nowhere"]]', "{}{}", '[["/a/b/c"]]', "[[]]", '["x"]']),
    )
)
def test_a_label_that_cannot_be_read_stands_for_all_of_the_value(label: str | bytes) -> None:
    guard, labels = begun({})
    value = {"a": "first text"}
    labels.came("table:users", value, label)
    try:
        read = json.loads(label)
        told = [entry[0] for entry in read] if isinstance(read, list) else [""]
    except (ValueError, LookupError, TypeError):
        told = [""]
    if "/a" not in told and told:
        assert guard.whole("first text") is not None


def test_large_data_that_is_no_text_is_told_by_its_texts() -> None:
    chance = random.Random(4)
    data, name = chance.randbytes(100_000), "hello'; DROP TABLE users; --"
    within = b"\x89PNG\0" + data + b"\0" + name.encode() + b"\0" + chance.randbytes(200)
    _, labels = begun({"name": name})
    assert labels.of(within) == '[["","event","/name"]]'
    far = chance.randbytes(2 << 20) + b"\0" + "größe'; --".encode() + b"\0"
    _, labels = begun({"name": "größe'; --"})
    assert labels.of(far) == '[["","event","/name"]]'
    assert labels.of(b"\0" + data) is None


@pytest.mark.alone
def test_large_data_that_is_no_text_takes_little_time() -> None:
    data = random.Random(5).randbytes(4 << 20)
    event = {"body": base64.b64encode(data).decode(), "name": "in/x.jpg"}
    taken = []
    for _ in range(3):
        _, labels = begun(event)
        begun_at = time.thread_time()
        labels.of(random.Random(6).randbytes(4 << 20))
        taken.append(time.thread_time() - begun_at)
    assert min(taken) < 0.3
