"""What commands show on a terminal: real escapes, and lines that end between words."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios

import pytest

from casemate.cli.main import run as run_command
from casemate.cli.terminal import Style, between_words

_SGR = re.compile(r"\x1b\[([^m]*)m")


def _on_terminal(*arguments: str, columns: int = 80) -> str:
    """Return what the command writes to a terminal of so many columns."""
    child, terminal = pty.fork()
    if child == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.environ.pop("NO_COLOR", None)
        os.environ.pop("COLUMNS", None)
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-m", "casemate.cli.main", *arguments])
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # it has ended
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    os.waitpid(child, 0)
    return shown.decode()


@pytest.mark.parametrize("arguments", [("secrets",), ("--help",)])
def test_help_is_coloured_and_shows_no_escapes_as_text(arguments: tuple[str, ...]) -> None:
    shown = _on_terminal(*arguments)
    assert "\\x1b" not in shown and "Usage:" in shown
    found = _SGR.findall(shown)
    assert found and set(found) <= {*(style.value for style in Style), "0"}
    lines = _SGR.sub("", shown).replace("\r", "").split("\n")
    assert max(map(len, lines)) <= 80


def test_what_is_told_ends_between_words() -> None:
    shown = _on_terminal("show", "shop/No_Such_Function_By_That_Name", columns=50)
    lines = [line for line in _SGR.sub("", shown).replace("\r", "").split("\n") if line]
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
