"""Names, types and first lines that tell who reads a text; where its lines begin."""

from __future__ import annotations

import pytest

from casemate.guard.origin import Origin, Span
from casemate.guard.written import kinds, records
from casemate.guard.written.formulas import is_formula
from casemate.guard.written.judgement import sink_of
from casemate.guard.written.kinds import Kind
from casemate.guard.written.settings import judge_settings
from casemate.guard.written.wire import judge_sent


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/tmp/a/report.CSV", Kind.CELLS),
        ("a.tar.gz", None),
        ("/x/.git/hooks/pre-commit", None),
        ("/x/Makefile", Kind.RECIPES),
        ("/etc/cron.d/backup", Kind.SCHEDULE),
        (".env", Kind.SETTINGS),
        ("site.conf", Kind.BLOCKS),
        ("notes.md", None),
    ],
)
def test_a_name_tells_the_kind(name: str, kind: Kind | None) -> None:
    assert kinds.of_name(name) is kind


@pytest.mark.parametrize(
    ("value", "shown"),
    [("x $DB_PASSWORD", True), ("${DB_PASSWORD}", True), ("US$ 5 $PRICE", False), ("\\$A", False)],
)
def test_a_setting_shows_no_other_of_its_file(value: str, shown: bool) -> None:
    before = 'DB_PASSWORD=x\nA=1\nNAME="'
    span = Span(len(before), len(before + value), Origin("event", ("v",)), exact=True)
    assert (judge_settings(f'{before}{value}"\n', [span]) is not None) is shown


def test_first_lines_and_types_tell_the_kind() -> None:
    assert kinds.of_first_line("#!/usr/bin/env -S python3.12\n") is Kind.PYTHON
    assert kinds.of_first_line("#!/bin/sh -e\n") is Kind.SHELL
    assert kinds.of_first_line("#!/opt/own\n") is None
    assert kinds.of_first_line("#! " + "/" * 100_000) is None
    assert kinds.of_type("Text/CSV; charset=utf-8") is Kind.CELLS
    assert kinds.of_type("text/plain") is None
    assert kinds.may_be_script("/x/pre-commit")
    assert kinds.may_be_script("/x/.profile")
    assert not kinds.may_be_script("/x/a.b")


def test_each_kind_has_a_sink() -> None:
    assert {sink_of(kind) for kind in Kind} == {"cell", "log", "header", "file"}


@pytest.mark.parametrize(
    "cell", ["=A1", "=SUM(A1:B2)", "@f(1)", "-A1+2", "=x|'y'!A0", "='a b'!C3", " =A1"]
)
def test_formulas(cell: str) -> None:
    assert is_formula(cell)


@pytest.mark.parametrize(
    "cell", ["", "=", "-1", "=1+2", "@a b", "= see A1 there", "-A1 b2", "x=A1"]
)
def test_no_formulas(cell: str) -> None:
    assert not is_formula(cell)


def _spans(text: str, part: str) -> list[Span]:
    start = text.index(part)
    return [Span(start, start + len(part), Origin("event", ("v",)), exact=True)]


def test_a_line_resembles_a_record_by_how_it_begins() -> None:
    for head, part, forged in (
        ("2026-11-28 INFO ", "x\n2027-01-01 INFO y", True),
        ("[12] login ", "x\n[13] login", True),
        ("INFO ", "x\nwords", False),
        ("INFO ", "x\n  INFO y", False),
        ("INFO ", "x\n\n", False),
        ("", "x\ny", True),
    ):
        text = f"{head}{part} end"
        verdict = records.judge_record(text, _spans(text, part))
        assert (verdict is not None) is forged, (head, part)


def test_what_a_socket_is_given_is_judged_by_how_it_begins() -> None:
    for text, part, hostile in (
        ("GET /a?b=x&c HTTP/1.1\r\nH: v\r\n\r\n", "x&c", True),
        ("GET /a?b=x HTTP/1.1\r\nH: v\r\nX: y\r\n\r\n", "v\r\nX: y", True),
        ("GET /a HTTP/1.1\r\nH: v\r\n\r\nb\r\nc", "b\r\nc", False),
        ("HTTP/1.1 200 OK\r\nH: v\r\nX: y\r\n\r\n", "v\r\nX: y", True),
        ("set k 0 0 3\r\na\r\nb\r\n", "a\r\nb", False),
        ("USER a\r\nPASS b\r\n", "a\r\nPASS b", True),
        ("DATA\r\nSubject: x\r\n\r\na\r\n.\r\nQUIT\r\nx\r\n", "a\r\n.\r\nQUIT", True),
        ("DATA\r\nSubject: x\r\n\r\na\r\nb\r\n.\r\n", "a\r\nb", False),
    ):
        assert (judge_sent(text, _spans(text, part)) is not None) is hostile, text
