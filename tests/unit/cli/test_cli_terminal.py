"""What commands show on a terminal: real escapes, and lines that end between words."""

from __future__ import annotations

import re

import pytest

from casemate.cli.main import run as run_command
from casemate.cli.terminal import Style, between_words

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
    assert between_words(f"Next: {command}.", 20) == ["Next:", f"  {command}."]
    for line in ("short", "  a trace's line that is longer than the width", ""):
        assert between_words(line, 20) == [line]


def test_words_of_other_programs_lead_to_ours(capsys: pytest.CaptureFixture[str]) -> None:
    for word, ours in (("list", "ls"), ("delete", "rm"), ("call", "invoke"), ("status", "show")):
        assert run_command([word]) == 2
        assert f"Did you mean '{ours}'?" in capsys.readouterr().err
    assert run_command(["users", "create"]) == 2
    assert "Did you mean 'add'?" in capsys.readouterr().err
