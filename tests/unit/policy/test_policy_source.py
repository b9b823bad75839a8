"""Splitting files into policies: places, limits, and no text that ends the process."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.policy import PolicyError
from casemate.policy.source import MAX_DEPTH, MAX_FILE_BYTES, MAX_TOKENS, require_visible, split

ONE = 'permit (principal in Casemate::Role::"x", action, resource);'


def refused(text: str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        split(text, "x.cedar")
    assert caught.value.next_step
    assert caught.value.file == "x.cedar"
    return caught.value


def test_policies_begin_where_they_do() -> None:
    found = split(f"// one; two\n\n{ONE} {ONE}\n  // last\n{ONE}", "x.cedar")
    assert [(s.text, s.line) for s in found] == [(ONE, 3), (ONE, 3), (ONE, 5)]


def test_a_semicolon_in_a_string_or_comment_ends_nothing() -> None:
    text = 'permit (principal in Casemate::Role::"a;\\";b", // ; }\n action, resource);'
    assert [s.text for s in split(text, "x")] == [text]


def test_only_comments_is_no_policy() -> None:
    assert split("// nothing\n", "x") == ()


def test_the_line_of_a_part() -> None:
    (found,) = split("\npermit (\n  principal,\n  action, resource);", "x")
    assert (found.line_of("principal"), found.line_of("nothing"), found.line_of("")) == (3, 2, 2)


def test_a_condition_comes_before_the_end() -> None:
    (found,) = split('forbid (principal, action, resource) // "c"\n;', "x")
    assert found.with_condition("true").endswith('// "c"\n\nwhen { true };')


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        (ONE[:-1], 1, "no end"),
        (f"{ONE}\n\nforbid (principal", 3, "no end"),
        ("\npermit (principal;", 2, "expected `)`"),
        ("permit )", 1, "without its beginning"),
        ("permit (]", 1, "without its beginning"),
        ('\n\npermit ("abc', 3, "not ended"),
        ('permit ("a\nb");', 1, "not ended"),
        ("permit (princip\u0430l, action, resource);", 1, "'\\u0430'"),
        ("permit (principal, action, resource)\n`;", 2, "'`'"),
        ("\x00", 1, "'\\x00'"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_line(text: str, line: int, part: str) -> None:
    error = refused(text)
    assert (error.line, part in error.problem) == (line, True), error


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("// \u202eharmless\n", 1, "U+202E"),
        ("a;\n// \u200b", 2, "U+200B"),
        ("a;\r\n\r\n// \U000e0041", 3, "U+E0041"),
        ('"\u3164"', 1, "U+3164"),
        ("// a\rb", 1, "U+000D"),
        ("// \ufe0f\ufe0f\ufe0f", 1, "U+FE0F"),
        ("\x00", 1, "U+0000"),
    ],
)
def test_a_new_text_has_nothing_that_is_not_seen(text: str, line: int, part: str) -> None:
    with pytest.raises(PolicyError) as caught:
        require_visible(text, "x.cedar")
    assert (caught.value.file, caught.value.line) == ("x.cedar", line)
    assert part in caught.value.problem


def test_one_that_is_in_force_goes_on_to_be() -> None:
    """It was put when fewer characters were known: nobody is locked out by knowing more."""
    assert split(f"// \u3164\n{ONE}", "x")


@pytest.mark.parametrize("brackets", ["()", "[]", "{}"])
def test_nesting_ends_before_cedar_sees_it(brackets: str) -> None:
    """A thousand levels end the process of Cedar's parser by a stack overflow."""
    left, right = brackets
    assert split(f"permit {left * MAX_DEPTH}{right * MAX_DEPTH};", "x")
    assert "too large" in refused(f"permit {left * 5000}{right * 5000};").problem


def test_ifs_and_words_have_a_limit_for_each_policy() -> None:
    deep = "if true then " * (MAX_DEPTH + 1)
    assert "too large" in refused(f"permit {deep};").problem
    assert "too large" in refused("a " * (MAX_TOKENS + 1)).problem
    assert len(split("a a a;" * MAX_TOKENS, "x")) == MAX_TOKENS


def test_a_file_has_a_limit_in_bytes() -> None:
    refused("//" + "ä" * (MAX_FILE_BYTES // 2))


def test_a_lone_surrogate_is_refused() -> None:
    refused("permit \ud800;")


@given(st.text(alphabet=st.sampled_from(list('permit(){}[];"\\/ \n,=.?@é\u202e')), max_size=200))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        found = split(text, "x")
    except PolicyError as error:
        assert error.line is not None
        assert 1 <= error.line <= text.count("\n") + 1
        return
    for statement in found:
        assert statement.text.endswith(";")
        assert statement.text in text
        assert text.split("\n")[statement.line - 1].strip()


@pytest.mark.parametrize("step", [".a", " . a", ".\n// on\na"])
def test_attributes_of_attributes_are_bounded(step: str) -> None:
    """Of `has` with 500 of them Cedar made 3 MB, within seconds of an owner's request."""
    assert split(f"permit(x) when {{ x has a{step * MAX_DEPTH} && x has a{step} }};", "x")
    with pytest.raises(PolicyError, match="too large"):
        split(f"permit(x) when {{ x has a{step * (MAX_DEPTH + 1)} }};", "x")
