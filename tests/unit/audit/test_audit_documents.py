"""YAML and JSON with places: what is odd is told, what is hostile costs little."""

from __future__ import annotations

import time

import pytest

from casemate.audit.documents import DocumentError, Map, place_of, read_documents
from casemate.audit.limits import MAX_NESTING, MAX_VALUES
from casemate.audit.model import Place


def one(text: str) -> Map:
    [document], _ = read_documents(text, "t.yaml")
    assert isinstance(document, Map)
    return document


def test_keys_and_items_know_where_they_stand() -> None:
    document = one("a: 1\nb:\n  c: [x,\n    y]\n")
    assert place_of(document, "b") == Place("t.yaml", 2, 1)
    assert place_of(document["b"], "c") == Place("t.yaml", 3, 3)
    assert place_of(document["b"]["c"], 1) == Place("t.yaml", 4, 5)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!Ref Name", {"Ref": "Name"}),
        ("!GetAtt A.Arn", {"Fn::GetAtt": ["A", "Arn"]}),
        ("!GetAtt A.Outputs.B", {"Fn::GetAtt": ["A", "Outputs.B"]}),
        ("!Sub 'a-${B}'", {"Fn::Sub": "a-${B}"}),
        ("!If [C, 1, 2]", {"Fn::If": ["C", 1, 2]}),
        ("!Condition C", {"Condition": "C"}),
        ("yes", True),
        ("'yes'", "yes"),
        ("012345678901", "012345678901"),
        ("2012-10-17", "2012-10-17"),
        ("1.5", 1.5),
        ("~", None),
        ("!!str 1", "1"),
    ],
)
def test_values_and_short_tags(text: str, value: object) -> None:
    assert one(f"k: {text}\n")["k"] == value


def test_a_key_that_is_there_twice_is_told() -> None:
    documents, notes = read_documents("a: 1\na: 2\n", "t")
    assert documents == [{"a": 2}]
    assert notes == [(2, 1, "the key 'a' is there twice: the last one counts")]


def test_aliases_and_merges_are_followed() -> None:
    document = one("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: *x\n")
    assert document["y"] == {"a": 1, "b": 3}
    assert document["z"] is document["x"]


def test_a_ring_of_aliases_is_cut_and_told() -> None:
    documents, notes = read_documents("a: &a\n  b: *a\n", "t")
    assert documents == [{"a": {"b": None}}]
    assert "refers to itself" in notes[0][2]


def test_a_bomb_of_aliases_costs_nothing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    started = time.process_time()
    with pytest.raises(DocumentError, match=str(MAX_VALUES)):
        read_documents("\n".join(lines), "t")
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    "text", ["[" * 5000, "{a: " * 5000, "- " * 5000 + "x", "a: " + "[" * (MAX_NESTING + 1)]
)
def test_what_is_nested_deeply_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        read_documents(text, "t")


@pytest.mark.parametrize(
    "text", ["a: [", "\x00", "a: b: c", "? [a]\n: b", "%TAG ! x\n", "a: *b\n- c", "\ud800", "{a: 1"]
)
def test_what_is_no_yaml_is_an_error_or_a_note(text: str) -> None:
    try:
        read_documents(text, "t")
    except DocumentError as error:
        assert error.line >= 1


def test_json_with_tabs_and_pairs_of_surrogates_is_read() -> None:
    assert one('{\n\t"a": "\\ud83d\\ude00",\n\t"b": [1, {"c": null}]\n}') == {
        "a": "😀",
        "b": [1, {"c": None}],
    }


def test_json_that_is_broken_or_too_deep_is_refused() -> None:
    for text in ('{\t"a": ', '{\t"a": ' + "[" * 100_000):
        with pytest.raises(DocumentError):
            read_documents(text, "t")


def test_several_documents_are_all_returned() -> None:
    documents, _ = read_documents("a: 1\n---\nb: 2\n", "t")
    assert documents == [{"a": 1}, {"b": 2}]
