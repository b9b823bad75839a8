"""Every regular expression of the source takes time in proportion to what it looks at.

One that does not lets a single request hold a process for seconds. They are found in the source,
so that a new one is tried without being named here.
"""

from __future__ import annotations

import re
import time
from functools import cache

import pytest
from tests.support.expressions import Expression, expressions, slow_inputs

from casemate.build import patterns
from casemate.guard import decoded_together, decoding, forms
from casemate.guard.quoted import QUOTE
from casemate.guard.url import structure
from casemate.guard.written import alike, by_look, escaped, shaped

BUILT_WHILE_RUNNING = {
    "casemate.api.inputs": "patterns of the API's own parameters, on at most a URL's text",
    "casemate.build.contents": "patterns of this source, on names in an archive",
    "casemate.build.patterns": "a project's own patterns, made linear; tried by their tests",
    "casemate.cli.import_times": "a line that Python writes of an import, matched at its start",
    "casemate.cli.operation_parameters": "patterns of operations' own fields, on an option's text",
    "casemate.drills.project.victim": "a function that is attacked on purpose; a node runs it",
    "casemate.kernel.process_files": "literal names of lines that the kernel writes",
    "casemate.manifest.kinds": "patterns of the manifest's tables, on texts of bounded length",
    "casemate.manifest.trigger_kinds": "a pattern of two bounded names",
    "casemate.masking.personal": "groups of four characters, of bounded number",
    "casemate.sbom.needs": "names of modules, each escaped, after one run of blanks",
    "casemate.operations.reading": "patterns of operations' own fields, on at most a URL's text",
    "casemate.operations.samples": "the same patterns, on short examples of this source",
    "casemate.policy.identifiers": "bounded names, each joined from ones that are tried",
    "casemate.guard.binary": "runs of two literal units, of bounded length",
    "casemate.guard.decoding": "sets of single characters, as the tables of Unicode have them",
    "casemate.guard.fragments": "literal signs beside sets of single characters, no repetition",
    "casemate.guard.matched": "the code's own pattern, on the text on which the code has run it",
    "casemate.guard.notes": "the code's own pattern, on the text that it has run on",
    "casemate.guard.overlapping": "classes of one character, each on one character",
    "casemate.guard.pages.places": "the end of an element, a literal tag without repetition",
    "casemate.guard.quoted": "the guard's languages, tried by the guard's own tests",
    "casemate.guard.spans": "escaped forms of one text, literal, without repetition",
    "casemate.guard.sql.shape": "the guard's tokens, on at most 4096 characters, tried there",
    "casemate.guard.sql.tokens": "the guard's tokens, tried by the guard's own tests",
    "casemate.guard.tracing": "texts of the code, each escaped, without repetition",
    "casemate.guard.written.apart": "the code's own pattern of a few signs, tried by its look",
    "casemate.guard.written.entries": "the code's own patterns, on a line, tried by their look",
    "casemate.guard.written.escaped": "the code's own pattern, on the text that it has run on",
    "casemate.guard.written.taken_apart": "the code's own pattern, on the text that it has run on",
    "casemate.guard.templates.own_marks": "the code's own pattern, on the text that it has run on",
    "casemate.guard.templates.judgement": "tags, tried by the guard's own tests",
    "casemate.guard.templates.tags": "beginnings of tags, tried by the guard's own tests",
}
"""Modules whose expressions exist only while code runs, and why that is bounded."""
PARTS = 4
"""In which they are tried, for on a busy machine all of them take minutes."""


@cache
def found() -> tuple[list[Expression], list[str]]:
    return expressions()


def test_every_expression_that_only_exists_while_code_runs_is_known() -> None:
    unknown = {where.rpartition(":")[0] for where in found()[1]}
    assert unknown <= set(BUILT_WHILE_RUNNING), unknown - set(BUILT_WHILE_RUNNING)


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.storm)])
@pytest.mark.parametrize("part", range(PARTS))
def test_every_expression_is_linear(part: int, every: int) -> None:
    """With up to 8,000 characters, one of so many and in the long run each with up to 100,000."""
    tried: dict[tuple[object, frozenset[str]], str] = {}
    for expression in found()[0]:
        tried.setdefault((expression.pattern, expression.methods), expression.where)
    assert len(tried) > 100
    slow = {
        where: tuple(ascii(part)[:40] for part in bad[:3])
        for number, ((pattern, methods), where) in enumerate(list(tried.items())[part::PARTS])
        if isinstance(pattern, re.Pattern)
        and (bad := slow_inputs(Expression(where, pattern, methods), longest=number % every == 0))
    }
    assert not slow, "\n".join(f"{where}: {bad}" for where, bad in slow.items())


@pytest.mark.parametrize(
    "pattern",
    [
        r"must (?:have a hash|be pinned)[^:]*: *(\S+)",
        *(r"\{%.*?%\}", r"\$\{.*?\}", r"<%.*?%>", r"(a+)+b", r"\d+(?=x)", r"[a-z]*,[a-z,]*;"),
        r'"[^"\\]*+(?:\\.[^"\\]*+)*+"',
    ],
)
def test_the_search_finds_expressions_that_are_not(pattern: str) -> None:
    assert slow_inputs(Expression("here", re.compile(pattern), frozenset(("search",)))) is not None


@pytest.mark.parametrize(
    "pump", ["\\", '"', "'", '\\"', "\r", "A", "A\r", '"' + "a" * 50, "\\\\x"], ids=ascii
)
def test_open_repeats_of_the_guard_are_fast_at_a_hundred_kilobytes(pump: str) -> None:
    """By the methods that the guard uses: some 10 ms each, where a quadratic one takes minutes."""
    text = (pump * 100_000)[:100_000]
    began = time.thread_time()
    for expression in (QUOTE, alike._QUOTED, by_look._APOSTROPHE):
        expression.findall(text)
        expression.search(text)
    shaped._RECORD.match(text)
    escaped._BEHIND_BACKSLASHES.fullmatch(text)
    patterns._SET.match(f"[{text}")
    assert time.thread_time() - began < 2


@pytest.mark.parametrize(
    "pump",
    [
        "%41",
        "%4",
        "&#1",
        "&amp;",
        "&CounterClockwise",
        "[[",
        '{"',
        '"',
        "]",
        "a.",
        "Bearer a.aaaa.",
        "-",
        "A=",
        "a\n",
    ],
    ids=ascii,
)
def test_expressions_over_texts_together_are_fast_at_a_hundred_kilobytes(pump: str) -> None:
    """By the methods by which the guard decodes what an event has."""
    text = (pump * 100_000)[:100_000]
    began = time.thread_time()
    for expression in (decoding.URL_ESCAPES, decoded_together._REFERENCE):
        expression.split(text)
    for expression in (
        *(decoding.BASE64, decoding.SPACED, decoding.JWT, decoded_together._TOKEN),
        *(digits for _, _, digits in forms._BASES_OF_85),
    ):
        expression.fullmatch(text)
    for framed in (text, f"[{text}", f'["{text}"]', f'{{"{text}', f'"{text}'):
        decoded_together._MAY_BE_JSON.fullmatch(framed)
    structure._TO_HOST.fullmatch(f":{text}", 0, len(text))
    assert time.thread_time() - began < 2
