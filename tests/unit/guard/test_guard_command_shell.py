"""The shell's grammar, compared with a shell's own reading of it."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard.command.shell import EXPANSION, Kind, parse

_PRINT = "printf '%s\\0' "
_PIECES = st.one_of(
    st.text("abc01=-_./:,@%+ü", min_size=1, max_size=5),
    st.text('ab $`"\\;&|<>()*?[]{}~#!\n\t', max_size=6).map(lambda t: f"'{t}'"),
    st.text("ab ;&|<>()*?[]{}~#'\n\t", max_size=6).map(lambda t: f'"{t}"'),
    st.sampled_from("$`\"' ;&|<>()*?[]{}~#\\").map(lambda c: f"\\{c}"),
    st.sampled_from('$`"\\').map(lambda c: f'"\\{c}"'),
)
_WORDS = st.lists(st.lists(_PIECES, min_size=1, max_size=4).map("".join), max_size=5)
_ANYTHING = st.text(max_size=60) | st.text(" ab'\"\\$`;&|<>()#\n{}*!=", max_size=40)


def _kinds(text: str) -> list[Kind]:
    return [m.kind for m in parse(text).marks if m.kind is not Kind.WORD]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@settings(max_examples=60, deadline=None)
@given(words=_WORDS)
def test_words_are_those_of_a_shell(shell: str, words: list[str]) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    line = _PRINT + "x " + " ".join(words)
    done = subprocess.run([shell, "-c", line], capture_output=True, check=False)
    assert done.returncode == 0
    expected = done.stdout.decode().split("\0")[1:-1]
    found = parse(line)
    assert not found.broken
    assert [w.value for w in found.commands[0]][3:] == expected


@given(words=st.lists(st.text(st.characters(exclude_characters="\0"), max_size=12), max_size=5))
def test_what_shlex_quotes_is_one_word_each(words: list[str]) -> None:
    found = parse("echo " + shlex.join(words))
    assert [w.value for w in found.commands[0]][1:] == words
    assert all(m.kind in (Kind.WORD, Kind.SINGLE, Kind.DOUBLE) for m in found.marks)


@given(text=_ANYTHING)
def test_any_text_is_read_to_its_end(text: str) -> None:
    found = parse(text)
    assert all(0 <= m.start <= m.end <= len(text) + 2 for m in found.marks)
    for command in found.commands:
        for word in command:
            assert len(word.value) == len(word.places)
            for character, place in zip(word.value, word.places, strict=True):
                assert character in (text[place], EXPANSION)


@settings(max_examples=60, deadline=None)
@given(text=st.text(" ab'\"\\$;&|#\n", max_size=16))
def test_an_open_quote_is_one_for_a_shell(text: str) -> None:
    done = subprocess.run(["sh", "-nc", text], capture_output=True, check=False)
    if b"nterminated quoted string" in done.stderr:
        assert parse(text).broken is not None


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("a; b", [Kind.OPERATOR]),
        ("a && b || c", [Kind.OPERATOR, Kind.OPERATOR]),
        ("a\nb", [Kind.OPERATOR]),
        ("a | b |& c", [Kind.OPERATOR, Kind.OPERATOR]),
        ("a > b 2>&1 <c", [Kind.REDIRECTION] * 3),
        ("a $b ${c} $1 $?", [Kind.VARIABLE] * 4),
        ("a $(b)", [Kind.SUBSTITUTION]),
        ("a `b`", [Kind.SUBSTITUTION]),
        ("a <(b)", [Kind.SUBSTITUTION]),
        ("a $((1 + 2))", [Kind.VARIABLE]),
        ("a # b; c", [Kind.COMMENT]),
        ("a b#c", []),
        ("a * ? [x]", [Kind.PATTERN] * 3),
        ("a ~ ~b c~", [Kind.PATTERN] * 2),
        ("a {b,c} {1..3} {d}", [Kind.PATTERN] * 2),
        ("a 'b", [Kind.BROKEN]),
        ('a "b', [Kind.BROKEN]),
        ("a $(b", [Kind.SUBSTITUTION, Kind.BROKEN]),
        ("cat <<E\n$x\nE\n", [Kind.REDIRECTION, Kind.OPERATOR, Kind.DOCUMENT, Kind.VARIABLE]),
        ("cat <<'E'\n$x\nE\n", [Kind.REDIRECTION, Kind.SINGLE, Kind.OPERATOR, Kind.DOCUMENT]),
        ("cat <<E\nx", [Kind.REDIRECTION, Kind.OPERATOR, Kind.BROKEN]),
        ("! a; b", [Kind.KEYWORD, Kind.OPERATOR]),
    ],
)  # fmt: skip
def test_what_has_a_meaning_is_marked(line: str, kinds: list[Kind]) -> None:
    assert _kinds(line) == kinds


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("a b; c", [["a", "b"], ["c"]]),
        ("x=1 a", [["x=1", "a"]]),
        ("(a b)", [["a", "b"]]),
        ("! a", [["a"]]),
        ("a > out b", [["a", "b"]]),
        ("a 'b c'd\"e f\"", [["a", "b cde f"]]),
        ("a \\\n b", [["a", "b"]]),
        ('a "$(b c)"', [["b", "c"], ["a", EXPANSION]]),
    ],
)
def test_commands_are_found_in_any_depth(line: str, commands: list[list[str]]) -> None:
    assert [[w.value for w in c] for c in parse(line).commands] == commands


def test_deep_nesting_ends() -> None:
    assert parse("$(" * 5000).broken is not None
    assert parse("`" * 5001) is not None
    assert parse('"${' * 5000).broken is not None
