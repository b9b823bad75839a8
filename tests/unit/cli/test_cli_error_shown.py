"""An error is told once: by a trace's end, by what the node adds, and in `casemate dev`."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from casemate.cli import dev_shown
from casemate.cli.credentials import Credentials
from casemate.cli.error_shown import print_error
from casemate.cli.errors import MissingError
from casemate.cli.trace_lines import shown_trace
from casemate.model.invocation import ErrorRecord, LogLine, Outcome

ID = "err_" + "1" * 24
TRACE = 'Traceback\n  File "/function/code/app.py", line 3, in handler\n'


def error(message: str = "'price'", trace: str = f"{TRACE}KeyError: 'price'\n") -> ErrorRecord:
    return ErrorRecord(
        id=ID, invocation="inv_1", project="shop", function="cart", version=1,
        outcome=Outcome.HANDLER_ERROR, at=1.0, type="KeyError", message=message, trace=trace,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "last"),
    [
        (error(), "KeyError: 'price'"),
        (error("'price' (sold out)"), "KeyError: 'price' (sold out)"),
    ],
)
def test_what_a_trace_ends_with_is_told_once(
    shown: ErrorRecord, last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_error(shown)
    assert capsys.readouterr().out == f"{TRACE}{last}\n"


def test_another_end_stays(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(error(trace=f"{TRACE}OSError: gone\n"))
    assert capsys.readouterr().out == f"{TRACE}OSError: gone\nKeyError: 'price'\n"


class Node:
    """Answers with one error."""

    def __init__(self, _: Credentials) -> None:
        pass

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, asked: Any) -> ErrorRecord:
        if asked.id != ID:
            raise MissingError("There is none.", next_step="none")
        return error()


def line(text: str, level: str = "error") -> LogLine:
    return LogLine(
        invocation="inv_1", project="shop", function="cart", version=1, at=1.0, level=level,
        text=text,
    )  # fmt: skip


def test_dev_shows_an_error_in_the_place_of_its_line_and_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev_shown, "NodeClient", Node)
    errors = dev_shown._Errors(Credentials(url="http://127.0.0.1:1", key="k"))
    told = f"handler-error: KeyError at app.py:3 in handler; see `casemate errors show {ID}`"
    assert errors.of_line(line(told)) and errors.of_line(line(told))
    assert capsys.readouterr().out.count("KeyError") == 1
    for other in (line("sold out"), line(told, "info"), line(told.replace(ID, "err_2"))):
        assert not errors.of_line(other), "it is shown as any line"
    assert capsys.readouterr().out == ""


def test_dev_tells_programs_of_an_error_once_and_of_every_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dev_shown, "NodeClient", Node)
    errors = dev_shown._Errors(Credentials(url="http://127.0.0.1:1", key="k"), json=True)
    errors._show(ID)
    errors._show(ID)
    assert json.loads(capsys.readouterr().out)["error"]["id"] == ID
    assert dev_shown._tell_line(line("sold out"))
    assert json.loads(capsys.readouterr().out)["log"]["text"] == "sold out"


def test_marks_below_code_that_fits_or_has_no_place_to_break_stay_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    short = "    total = item + 1\n            ^^^^^^^^"
    whole = f"    {'x' * 60}\n    {'^' * 60}"
    for trace in (short, whole, "", "\n\n", "^" * 50, f"{'x ' * 30}\n\n"):
        shown = shown_trace(trace, _Terminal())
        assert shown.split() == trace.split()
        if trace in (short, whole):
            assert shown == trace
    wide = "    a = " + " + ".join(f"price_{n}" for n in range(2000))
    marks = " " * 8 + "^" * (len(wide) - 8)
    lines = shown_trace(f"{wide}\n{marks}", _Terminal()).split("\n")
    assert all(len(line) <= 40 for line in lines)
    assert " ".join(lines[::2]).split() == wide.split()
    assert all(set(marks) <= {" ", "^"} for marks in lines[1::2])


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_its_end_is_folded_and_the_marks_of_a_trace_stay_below_their_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = _Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    for name, value in (("COLUMNS", "40"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    trace = f"{TRACE}    total = item['a price that is long'] + 1\n            {'^' * 32}\n"
    print_error(error("there is none. Next: set it: `casemate secrets set shop/key`", trace))
    *lines, first, second = shown.getvalue().splitlines()
    assert lines == [
        "Traceback",
        '  File "/function/code/app.py", line 3,',
        "      in handler",
        "    total = item['a price that is long']",
        "            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "        + 1",
        "        ^^^",
    ]
    assert first == "KeyError: there is none. Next: set it:"
    assert second == "    `casemate secrets set shop/key`"
