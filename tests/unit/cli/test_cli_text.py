"""Nothing that a function wrote can steer a terminal."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.cli import text as texts
from casemate.cli.text import (
    clock,
    json_text,
    many_lines,
    moment,
    moment_with_zone,
    one_line,
    seconds,
    size,
    version_name,
)


def harmless(text: str, *, lines: bool = False) -> bool:
    return all(
        c == "\t" or (lines and c == "\n") or (ord(c) >= 32 and not 0x7F <= ord(c) <= 0x9F)
        for c in text
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢 🙂\t|", "plain ü 漢 🙂\t|"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\rb", "a\\x0db"),
        ("a\nb", "a\\x0ab"),
        ("\x9b31m", "\\x9b31m"),
        ("\x7f\x00\x08", "\\x7f\\x00\\x08"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\udcff", "\\udcff"),
        ("ad\u200bmin\xad\u2060\u3164", "ad\\u200bmin\\xad\\u2060\\u3164"),
        ("a\U000e0101\U000e0102\ufe01b", "a\\U000e0101\\U000e0102\\ufe01b"),
        ("a\U000e0101\U000e0102b", "a\\U000e0101\\U000e0102b"),
        ("\u200c\u200d\u200c", "\\u200c\\u200d\\u200c"),
        # A heart on fire, a family, a word of Persian, a variant of a character of Japanese.
        *((text, text) for text in ("❤\ufe0f\u200d🔥", "👨\u200d👩\u200d👧", "क्\u200dष")),
        ("葛\U000e0100城", "葛\U000e0100城"),
    ],
)
def test_control_characters_are_shown(text, shown) -> None:
    assert one_line(text) == shown


def test_lines_are_kept_where_there_may_be_several() -> None:
    assert many_lines("a\r\nb\n\x1bc\rd") == "a\nb\n\\x1bc\\x0dd"


@given(st.text())
def test_no_text_gets_through(text) -> None:
    assert harmless(one_line(text))
    assert harmless(many_lines(text), lines=True)
    one_line(text).encode()


@given(st.recursive(st.text() | st.integers(), lambda v: st.dictionaries(st.text(), v)))
def test_json_stays_the_same_document(value) -> None:
    text = json_text(json.dumps(value, indent=2, ensure_ascii=False))
    assert harmless(text, lines=True)
    assert json.loads(text) == value


def test_sizes_and_times() -> None:
    assert [size(n) for n in (0, 1023, 1024, 1536, 64 << 20, 3 << 30)] == [
        "0 B",
        "1023 B",
        "1 KB",
        "1.5 KB",
        "64 MB",
        "3 GB",
    ]
    assert (seconds(10.0), seconds(0.5)) == ("10s", "0.5s")
    assert (seconds(300.0), seconds(90.0), seconds(3600.0)) == ("5m", "90s", "1h")
    assert (seconds(1209600.0), seconds(1209601.5)) == ("336h", "1209601.5s")


def test_a_call_that_reached_no_version_or_function_names_none() -> None:
    assert version_name("shop", "cart", 3) == "shop/cart@3"
    assert version_name("shop", "cart", 0) == "shop/cart"
    assert version_name("", "", 0) == "-"


def test_a_moment_can_tell_its_zone() -> None:
    assert moment_with_zone(1.0).startswith(f"{moment(1.0)} ")


@pytest.mark.parametrize(
    "at", [1e308, -1e308, 1e18, 253_402_300_800.0, -62_135_596_801.0, math.inf, -math.inf, math.nan]
)
def test_a_time_that_no_calendar_has_is_shown_all_the_same(at: float) -> None:
    """A node may tell any: one record of that kind kept a whole list from being shown."""
    for shown in (moment(at), moment_with_zone(at), clock(at)):
        assert re.search(r"\d\d:\d\d:\d\d", shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::stop-commands::x", "\\x3a:stop-commands::x"),
        ("  ::error file=a,line=1::x: its ACL", "  \\x3a:error file=a,line=1::x: its ACL"),
        ("##[set-env name=x]y", "#\\x23[set-env name=x]y"),
        ("in it ##[add-mask]x and ###[error]y", "in it #\\x23[add-mask]x and ##\\x23[error]y"),
        ("in it ##vso[task.setvariable x]y", "in it #\\x23vso[task.setvariable x]y"),
        ("###vso[task.x]y", "##\\x23vso[task.x]y"),
        ("a ##teamcity[publishArtifacts '/etc']", "a #\\x23teamcity[publishArtifacts '/etc']"),
        ("::error title=a", "\\x3a:error title=a"),
        ("::1", "::1"),
        ("a ::error::b", "a ::error::b"),
        ("## a title", "## a title"),
        ("#[derive]", "#[derive]"),
    ],
)
@pytest.mark.parametrize("variable", ["GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION", ""])
def test_no_line_is_a_command_of_a_runner_of_pipelines(
    monkeypatch: pytest.MonkeyPatch, text: str, shown: str, variable: str
) -> None:
    """GitHub's obeys `##[` anywhere in a line, and `::` where another column ends what began."""
    for name in ("GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "true")
    texts._is_obeyed.cache_clear()
    try:
        if not variable:
            assert many_lines(f"{text}\n{text}") == f"{text}\n{text}"
        else:
            assert many_lines(f"{text}\n{text}") == f"{shown}\n{shown}"
            told = json.dumps({"is": text})
            assert json.loads(json_text(told)) == {"is": text}
            assert "##[" not in json_text(told) and "##vso[" not in json_text(told)
            assert "##teamcity[" not in json_text(told)
    finally:
        texts._is_obeyed.cache_clear()
