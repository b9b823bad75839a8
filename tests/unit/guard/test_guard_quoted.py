"""The judgement of texts in small languages by their tokens."""

from __future__ import annotations

import pytest

from casemate.guard.nosql.languages import (
    EXPRESSION,
    JAVASCRIPT,
    JSON,
    LUA,
    LUCENE,
    judge_command,
    judge_glob,
    judge_lucene,
)
from casemate.guard.origin import Origin, Span
from casemate.guard.quoted import Language, judge
from casemate.guard.sinks.xpath import XPATH
from casemate.guard.spans import neutral


def parted(text: str, checked: str = "") -> tuple[str, list[Span]]:
    """Return a text and the data in it, which stands between `<` and `>`."""
    before, _, rest = text.partition("<")
    data, _, after = rest.partition(">")
    span = Span(len(before), len(before) + len(data), Origin("event", ()), True, checked)
    return before + data + after, [span]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("//a[@b='<x y>']", XPATH),
        ('//a[@b="<it\'s>"]', XPATH),
        ("//a[<12>]", XPATH),
        ("this.a == '<x y; z>'", JAVASCRIPT),
        ("this.a == '<it\\'s>'", JAVASCRIPT),
        ("// <a comment's>\nreturn 1", JAVASCRIPT),
        ("return '<x>'", LUA),
        ("return [==[<x]=]' >]==]", LUA),
        ('{"a": "<b c>"}', JSON),
        ('{"a": <12>}', JSON),
        ('title:"<a OR b>"', LUCENE),
        ("#n = :v AND size(#n) > <3>", EXPRESSION),
    ],
)
def test_data_inside_of_literals_and_numbers_pass(text: str, language: Language) -> None:
    assert judge(*parted(text), language) is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("//a[@b='<x'y>']", XPATH),
        ("//a[@b='<'>']", XPATH),
        ("//<a>", XPATH),
        ("//a[<1 or 1>]", XPATH),
        ("this.a == '<x';y>'", JAVASCRIPT),
        ("this.a == '<x\\>'", JAVASCRIPT),
        ("this.<a> == 1", JAVASCRIPT),
        ("return '<x' .. y>'", LUA),
        ("return [[<x]]..y>]]", LUA),
        ('{"a": "<b", "c": "d>"}', JSON),
        ("a = <:b OR c>", EXPRESSION),
        ("<password> = :v", EXPRESSION),
    ],
)
def test_data_that_is_more_is_not_let_through(text: str, language: Language) -> None:
    verdict = judge(*parted(text), language)
    assert verdict is not None
    assert verdict.fix == language.fix


@pytest.mark.parametrize(
    ("checked", "passes"),
    [("member", True), ("constant", True), ("pattern", True), ("word", True), ("", False)],
)
def test_a_name_passes_if_the_code_has_checked_or_foreseen_it(checked: str, passes: bool) -> None:
    assert (judge(*parted("//user/<name>", checked), XPATH) is None) == passes


def test_a_pattern_does_not_vouch_for_more_than_a_name() -> None:
    assert judge(*parted("//user/<a | //b>", "pattern"), XPATH) is not None


def test_neutral_text_has_the_same_length() -> None:
    text, spans = parted("a <bc'd> e")
    assert neutral(text, spans) == "a qqqq e"


def test_commands_patterns_of_keys_and_query_strings() -> None:
    assert judge_command(*parted("GET <a>")) is None
    assert judge_command(*parted("GET <a b>")) is not None
    assert judge_command(*parted("<GET> a")) is not None
    assert judge_glob(*parted("user:<7>:*")) is None
    assert judge_glob(*parted("user:<[7>:*")) is not None
    assert judge_lucene(*parted("title:<a word, two>")) is None
    assert judge_lucene(*parted("title:<a NOT b>")) is not None
    assert judge_lucene(*parted('title:"<a NOT b>"')) is None
    assert judge_lucene(*parted("title:<a*>")) is not None
    assert judge_lucene(*parted('title:"<a" b>"')) is not None
