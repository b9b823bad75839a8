"""Values that awk is given as variables, and hands to a shell or only shows."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

from casemate.guard.command import awk
from casemate.guard.command.arguments import Argument
from casemate.guard.origin import Origin, Span
from support.guard_cases import assert_blocked, assert_passes

PRELOAD = ("subprocess",)
_HANDLER = """
import subprocess
def handler(event, context):
    command = ["awk", {option}, {program!r}]
    done = subprocess.run(command, capture_output=True, text=True, input="a b\\nc d\\n")
    return done.stdout
"""


def _handler(program: str, option: str = '"-v", "who=" + event["v"]') -> str:
    return _HANDLER.format(program=program, option=option)


ATTACKS = {
    "system": ('BEGIN { system("echo " who) }', ("a; id", "$(id)", "`id`", "a | id")),
    "in quotes": ('BEGIN { system("echo \'" who "\'") }', ("a'; id; '", "a\\047; id; \\047")),
    "getline": ('BEGIN { ("host " who) | getline x; print x }', ("a; id",)),
    "kept": ('BEGIN { c = "host " who; c | getline x; print x }', ("a; id",)),
    "kept by a name of another form": (
        'BEGIN { c_ = "host " who; system(c_) }',
        ("a; id",),
    ),
    "a quote in a pattern": ('$1 ~ /["\\/"]"/ { system("echo " who) }', ("a; id",)),
    "a quote in a comment": ('# "\nBEGIN { system("echo " who) }', ("a; id",)),
    "divided": ('BEGIN { y = x++ / 2; system("echo " who); z = (8) / y / 2 }', ("a; id",)),
    "pipe": ('{ print $1 | "mail " who }', ("a; id",)),
}
HARMLESS = {
    "shown": ("BEGIN { print who }", ("a; id", "$(id)", "x | y", "O'Hara")),
    "compared": ('$1 == who || $2 == who { print $2 } END { print "done" }', ("a; id", "a|b")),
    "in quotes": ('BEGIN { system("echo \'" who "\'") }', ("a b; c", "$(id)", "")),
    "a pattern and a comment": ('/system(x)|"/ { print who } # "x" | who', ("a; id", "a|b")),
    "another command": ('BEGIN { system("date +%s"); print who }', ("a; id",)),
    "piped into sort": ('{ print $1 who | "sort" }', ("a; id", "b")),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_variable_of_awk_that_a_shell_runs_is_stopped(name: str, tmp_path: Path) -> None:
    program, values = ATTACKS[name]
    cases = {value: (_handler(program), {"v": value}) for value in values}
    assert_blocked(tmp_path, cases, {"command"}, PRELOAD)


@pytest.mark.parametrize("option", ['"-vwho=" + event["v"]', '"--assign=who=" + event["v"]'])
def test_it_is_stopped_in_one_argument_with_its_option(option: str, tmp_path: Path) -> None:
    code = _handler('BEGIN { system("echo " who) }', option)
    assert_blocked(tmp_path, {"attached": (code, {"v": "a; id"})}, {"command"}, PRELOAD)


@pytest.mark.parametrize("source", ['"--source="', '"-e"', '"-e", "BEGIN {{ x = 1 }}", "-e", '])
def test_all_of_a_program_that_options_bring_is_read(source: str, tmp_path: Path) -> None:
    code = _HANDLER.replace("{option}, ", '"-v", "who=" + event["v"], ' + source)
    code = code.format(program='BEGIN { system("echo " who) }')
    assert_blocked(tmp_path, {"sources": (code, {"v": "a; id"})}, {"command"}, PRELOAD)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_variable_of_awk_that_stays_data_passes(name: str, tmp_path: Path) -> None:
    program, values = HARMLESS[name]
    cases = {value: (_handler(program), {"v": value}) for value in values}
    assert_passes(tmp_path, cases, PRELOAD)


@pytest.mark.parametrize(
    "part", ['"', "\\", '"\\', "a", "$", "| ", '"x" ', "(", "system(", "/", "/[", "#"]
)
def test_a_program_takes_no_longer_than_it_is_long(part: str) -> None:
    text = (part * 100_000)[:100_000]
    began = time.process_time()
    awk._TOKEN.findall(text)
    awk._PATTERN.findall(text)
    # A longer one than is read is refused, and what is read is of few commands.
    given = Argument("who=a;b", [Span(4, 7, Origin("event", ("v",)), exact=True)])
    for program in (text, text[: awk.MAX_PROGRAM]):
        try:
            awk.judge([Argument("-v"), given, Argument(program)], lambda line, spans: None)
        except ValueError as error:
            assert "more than" in str(error) or "does not end" in str(error)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("part", ["/\\", "/a", "/[", "x/", "++/", "/a/", "print /a\n", "#/\n"])
def test_patterns_are_looked_for_once(part: str) -> None:
    text = (part * 100_000)[:100_000]
    began = time.process_time()
    # What begins a pattern that does not end is no program: else each slash looked for its end.
    with suppress(ValueError):
        awk._tokens(text)
    assert time.process_time() - began < 1.0


def test_a_pattern_that_does_not_end_is_refused() -> None:
    for program in ('/\\" { system("echo " who) }', "/[ { system(who) }"):
        with pytest.raises(ValueError, match="does not end"):
            awk._tokens(program)
