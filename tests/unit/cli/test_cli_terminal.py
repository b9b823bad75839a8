"""What commands show on a terminal: real escapes, and lines that end between words."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence

import msgspec
import pytest

from casemate.cli.commands.detect import explain
from casemate.cli.commands.drill import _print as print_outcome
from casemate.cli.main import run as run_command
from casemate.cli.terminal import (
    Style,
    between_words,
    folded,
    note,
    print_command,
    print_document,
    print_labelled,
    print_prose,
    print_written,
    progress,
)
from casemate.drills.drill import Outcome as DrillOutcome
from casemate.drills.drill import Run, Way

_SGR = re.compile(r"\x1b\[([^m]*)m")


def _lines(shown: str) -> list[str]:
    return [line for line in _SGR.sub("", shown).replace("\r", "").split("\n") if line]


@pytest.mark.parametrize("arguments", [("secrets",), ("--help",)])
def test_help_is_coloured_and_shows_no_escapes_as_text(terminal, arguments) -> None:
    shown = terminal(*arguments, environ={"COLUMNS": "80"}).out
    assert "\\x1b" not in shown and "Usage:" in shown
    found = _SGR.findall(shown)
    assert found and set(found) <= {*(style.value for style in Style), "0"}
    assert max(map(len, _lines(shown))) <= 80


def test_what_is_told_ends_between_words(terminal) -> None:
    shown = terminal("show", "shop/No_Such_Function_By_That_Name", environ={"COLUMNS": "50"}).out
    lines = _lines(shown)
    assert max(map(len, lines)) <= 50 and len(lines) > 2
    assert "Error: 'No_Such_Function_By_That_Name'" in " ".join(lines)


def test_a_command_to_copy_stays_whole() -> None:
    command = "`casemate errors show err_ce4aa5fd7f743064303a755f`"
    assert between_words(f"Next: {command} tells the owner what happened.", 55) == [
        "Next:",
        f"  {command}",
        "  tells the owner what happened.",
    ]
    assert between_words("Next: `a 'b c d e f g h'`.", 16) == ["Next:", "  `a 'b c d e f g h'`."]
    for line in ("short", "  a trace's line that is longer than the width", ""):
        assert between_words(line, 20) == [line]


def test_a_command_that_is_too_wide_goes_on_as_a_shell_takes_it() -> None:
    command = "casemate advisories import https://osv.example.org --ecosystem PyPI --node"
    lines = between_words(f"Next: `{command}`. Or wait.", 40)
    assert lines == [
        "Next:",
        "  `casemate advisories import \\",
        "      https://osv.example.org \\",
        "      --ecosystem PyPI --node`. Or wait.",
    ]
    assert max(map(len, lines)) <= 40
    pasted = "\n".join(lines).partition("`")[2].partition("`")[0]
    assert shlex.split(pasted.replace("\\\n", "")) == command.split(" ")


def test_words_of_other_programs_lead_to_ours(capsys: pytest.CaptureFixture[str]) -> None:
    for word, ours in (("list", "ls"), ("delete", "rm"), ("call", "invoke"), ("status", "show")):
        assert run_command([word]) == 2
        assert f"Did you mean '{ours}'?" in capsys.readouterr().err
    for word in ("get", "show"):  # and not `set`, which would replace the value
        assert run_command(["secrets", word, "key"]) == 2
        assert "Did you mean 'ls'?" in capsys.readouterr().err
    assert run_command(["users", "create"]) == 2
    assert "Did you mean 'add'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["grants", "shop/orders"], "show shop/orders"),
        (["dlq", "orders"], "ls orders"),
        (["errors", "orders"], "ls orders"),
        (["errors", "err_01a2348e8f38a19b"], "show err_01a2348e8f38a19b"),
        (["incident", "close"], "resolve"),  # before: `ls close`
        (["incident", "state"], "show"),
        (["dlq", "rm"], "purge"),
        (["errors", "close"], ""),
        (["projects"], "ls"),
        (["roles"], "policy"),
        (["users", "ann"], ""),  # its listing takes no name
        (["grants", "a b"], ""),
        (["frobnicate"], ""),
    ],
)
def test_a_name_without_its_command_is_led_to_what_shows_it(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(typed) == 2
    shown = capsys.readouterr().err
    assert f"No such command '{typed[-1]}'." in shown
    assert (f"Did you mean '{meant}'?" in shown) if meant else ("Did you mean" not in shown)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["tables", "items", "shop/orders"], "query"),
        (["buckets", "cat", "shop/files", "a.txt"], "get"),
        (["tables", "rows", "shop/orders"], ""),  # before: `ls rows`, with a word too many
    ],
)
def test_a_command_of_another_name_is_not_taken_for_a_name(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(typed) == 2
    shown = capsys.readouterr().err
    assert (f"Did you mean '{meant}'?" in shown) if meant else ("Did you mean" not in shown)


@pytest.mark.parametrize("command", ["invocations", "denials", "logs"])
def test_a_word_that_a_listing_does_not_take_is_named(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command([command, "ls", "shop/cart"]) == 2
    assert f"Leave `ls` out, `casemate {command}` lists by itself" in capsys.readouterr().err
    assert run_command([command, "cart", "mail"]) == 2
    assert "leave" not in capsys.readouterr().err


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _narrow(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    """Put a terminal of 40 columns in the place of both streams; no fixture, for pytest's own."""
    shown = _Terminal()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, shown)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    return shown


def test_steps_share_one_moving_line_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = _narrow(monkeypatch)
    names = ", ".join(f"shop/function-{number}" for number in range(14))
    with progress("Playing 46 attacks") as outer:
        with progress(f"Starting {names} once on the node") as step:
            time.sleep(0.2)  # a frame is drawn each 80 ms
            step.update("Uploading")
            time.sleep(0.2)
        outer.update("46 of 46")
        time.sleep(0.2)
    frames = [
        part
        for part in re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", narrow.getvalue()))
        if part.strip()
    ]
    assert max(map(len, frames)) <= 40
    # Each line has what moves, and one of it: none is the rest of another.
    assert {len(re.findall("[\u2800-\u28ff]", one)) for one in frames} == {1}
    for text in ("Starting shop/function-0", "Uploading", "46 of 46"):
        assert any(text in one for one in frames), text


def test_what_was_going_on_is_shown_again_after_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = _narrow(monkeypatch)
    with progress("The whole"):
        with pytest.raises(ValueError, match="a step"), progress("A step"):
            raise ValueError("a step")
        before = len(narrow.getvalue())
        time.sleep(0.2)
    assert "The whole" in narrow.getvalue()[before:] and "A step" not in narrow.getvalue()[before:]


def test_a_command_goes_on_as_a_shell_takes_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    key = "7e03" * 16
    print_command(f"  Change: casemate keys revoke {key} --reason TEXT")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "  Change: casemate keys revoke \\",
        f"      {key} \\",
        "      --reason TEXT",
    ]
    copied = "\n".join(lines).removeprefix("  Change: ").replace("\\\n", "")
    assert shlex.split(copied) == ["casemate", "keys", "revoke", key, "--reason", "TEXT"]
    print_command("  Look: casemate show f 'a b' " + "x" * 60)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_prose_ends_between_words_with_its_indent(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = _narrow(monkeypatch)
    print_prose("  A known hole is accepted until the sale is over, by ada")
    print_prose("Next: `casemate advisories import https://osv.example.com --node` and again")
    print_prose("short")
    assert narrow.getvalue().split("\n")[:-1] == [
        "  A known hole is accepted until the",
        "    sale is over, by ada",
        "Next:",
        "  `casemate advisories import \\",
        "      https://osv.example.com --node`",
        "  and again",
        "short",
    ]


def test_what_stands_behind_a_label_goes_on_below_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = _narrow(monkeypatch)
    print_labelled("master key", "file:/etc/casemate/key (id 71fb1a72)", 12)
    print_labelled("secrets", "2", 12)
    assert narrow.getvalue().split("\n")[:-1] == [
        "master key  file:/etc/casemate/key (id",
        "            71fb1a72)",
        "secrets     2",
    ]


ERROR = "err_ce4aa5fd7f743064303a755f"
LINE = (
    "2026-11-29 23:25:11  shop/cart@12  info     "
    f'sold as {ERROR} {{"a":1,"of":"{ERROR}","z":[1,2]}}'
)


def test_a_line_of_a_log_is_folded_and_nothing_of_it_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = _narrow(monkeypatch)
    print_written(LINE)
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= 40 and sum(ERROR in line for line in lines) == 2
    assert "".join("".join(lines).split()) == "".join(LINE.split())


def test_what_programs_read_of_a_log_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_written(LINE)
    print_document('{"a":"' + "x" * 200 + '"}')
    assert capsys.readouterr().out == f"{LINE}\n" + '{"a":"' + "x" * 200 + '"}\n'


def test_what_is_json_is_read_as_it_also_where_a_terminal_would_obey_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It had `\\x7f` within, which is no JSON."""
    print_document('{"a": "x\x7fy\u202ez"}', is_json=True)
    shown = capsys.readouterr().out
    assert "\x7f" not in shown and "\u202e" not in shown
    assert json.loads(shown) == {"a": "x\x7fy\u202ez"}


def test_a_command_within_a_line_of_a_log_stays_whole_where_there_is_room() -> None:
    command = f"`casemate errors show {ERROR}`"
    assert folded(f"12:00  shop/cart@1  error  ValueError at app.py; see {command}", 60) == [
        "12:00  shop/cart@1  error  ValueError at app.py; see",
        f"    {command}",
    ]
    assert folded(f"12:00  shop/cart@1  error  see {command}", 40) == [
        "12:00  shop/cart@1  error  see `casemate",
        "    errors show",
        f"    {ERROR}`",
    ]


@pytest.mark.parametrize("sign", [" ", "`", "` ", ",", "a,", "` `", "\t"])
@pytest.mark.parametrize("breaks", [folded, between_words])
def test_a_line_takes_linear_time(sign: str, breaks: Callable[[str, int], Sequence[str]]) -> None:
    started = time.process_time()
    breaks("a" + sign * 100_000, 80)
    assert time.process_time() - started < 5, "by the square it were a minute and a half"


@pytest.mark.parametrize("text", ["", "x" * 99, " " * 99, "a" + " " * 99 + "b", "," * 99])
def test_no_line_is_lost_however_it_is_made(text: str) -> None:
    lines = folded(text, 40)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_json_that_is_too_wide_is_indented_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = _narrow(monkeypatch)
    print_document('{"id":"err_ce4aa5fd7f74","n":1.10,"n":1e400}')
    assert shown.getvalue().splitlines() == [
        "{",
        '  "id": "err_ce4aa5fd7f74",',
        '  "n": 1.10,',
        '  "n": 1e400',
        "}",
    ]


def test_a_value_that_has_no_room_beside_its_name_stands_below_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = _narrow(monkeypatch)
    print_document('{"a":{"sha256":"81f9eaadfc9368a3e2d3d195cd2d1fdc"}}')
    assert shown.getvalue().splitlines()[2:4] == [
        '    "sha256":',
        '        "81f9eaadfc9368a3e2d3d195cd2d1fdc"',
    ]


def test_a_listing_within_a_note_is_folded_below_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _narrow(monkeypatch)
    note(
        "It would grant more:\n  shop/cart\n    + egress 10.0.0.9:8443: connect, private addresses"
    )
    assert shown.getvalue().splitlines() == [
        "It would grant more:",
        "  shop/cart",
        "    + egress 10.0.0.9:8443: connect,",
        "        private addresses",
    ]


def test_what_only_looks_like_json_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _narrow(monkeypatch)
    text = "{'a': 'word word word word word word word word'}"
    print_document(text)
    assert max(map(len, shown.getvalue().splitlines())) <= 40
    assert shown.getvalue().split() == text.split()


def test_the_outcome_of_drills_is_a_table_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _narrow(monkeypatch)
    monkeypatch.setenv("COLUMNS", "80")
    outcomes = [
        DrillOutcome(id=way.value, title="x", way=way, risk=1, technique="T1", prevented=True,
                     detected=True, detected_seconds=12.5)
        for way in Way
    ]  # fmt: skip
    held = {"contained_seconds": 1.25, "restored_seconds": 2.5}
    outcomes[-1] = msgspec.structs.replace(outcomes[-1], **held)
    run = Run(id="r1", node="n", project="p", at=1.0, seconds=9.0, outcomes=tuple(outcomes),
              calls=3, lost_calls=0)  # fmt: skip
    print_outcome(run, [run])
    lines = shown.getvalue().splitlines()
    assert "found by rules: nothing" in lines
    assert max(map(len, lines[: 2 + len(outcomes)])) <= 80
    assert lines[0].split()[:2] == ["ATTACKS", "BY"] and lines[0].endswith("SEEN IN")
    assert [line for line in lines if line.startswith("    ")] == [
        "    contained 1.250 s  restored 2.500 s"
    ]


def test_of_many_rules_a_drill_names_those_that_found_most(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _narrow(monkeypatch)
    monkeypatch.setenv("COLUMNS", "80")
    run = Run(id="r1", node="n", project="p", at=1.0, seconds=9.0, outcomes=(), calls=3,
              lost_calls=0, findings={f"rule-{n:03}": n for n in range(1, 201)})  # fmt: skip
    print_outcome(run, [run])
    words = " ".join(shown.getvalue().split())
    assert "found by 200 rules, 20100 times; most by rule-200 (200), rule-199 (199)," in words
    assert "All: `casemate drill report r1 --format markdown`" in words
    assert len(shown.getvalue().splitlines()) < 10
    few = msgspec.structs.replace(run, findings={"b": 1, "a": 2})
    print_outcome(few, [few])
    assert "found by rules: a (2), b (1)" in shown.getvalue()


def test_what_explains_a_rule_keeps_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _narrow(monkeypatch)
    monkeypatch.setenv("COLUMNS", "80")
    explain("tokens-tried")
    assert "not found: 5 times" in shown.getvalue()
    assert max(map(len, shown.getvalue().splitlines())) <= 80
