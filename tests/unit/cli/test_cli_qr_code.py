"""The QR code on a terminal is the one that was meant, and elsewhere there is none."""

from __future__ import annotations

import io
import re

import pytest
import segno

from casemate.cli import qr_code
from casemate.cli.qr_code import show_qr_code

URI = "otpauth://totp/Casemate%3Aada?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Casemate"
_CELL = re.compile(r"\x1b\[(30|97);(40|107)m▀")
_BLOCKS = {"█": (False, False), "▀": (False, True), "▄": (True, False), " ": (True, True)}


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)


def _wanted() -> list[list[bool]]:
    code = segno.make_qr(URI, error="l")
    return [[bool(module) for module in row] for row in code.matrix_iter(border=2)]


def _read(lines: list[list[tuple[bool, bool]]]) -> list[list[bool]]:
    rows = []
    for pairs in lines:
        rows += [[upper for upper, _ in pairs], [lower for _, lower in pairs]]
    return rows


def _same(rows: list[list[bool]]) -> bool:
    wanted = _wanted()
    below = rows[len(wanted) :]
    return rows[: len(wanted)] == wanted and not any(map(any, below))


def test_in_colours_it_says_both_of_them() -> None:
    stream = Terminal()
    assert show_qr_code(URI, stream)
    lines = stream.getvalue().splitlines()
    assert all(line.endswith("\x1b[0m") for line in lines)
    assert _same(
        _read([[(f == "30", b == "40") for f, b in _CELL.findall(line)] for line in lines])
    )


def test_without_colours_it_is_drawn_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    assert show_qr_code(URI, stream)
    assert "\x1b" not in stream.getvalue()
    assert _same(_read([[_BLOCKS[c] for c in line] for line in stream.getvalue().splitlines()]))


def test_nothing_is_drawn_where_nobody_can_scan_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, ascii_terminal, terminal = io.StringIO(), Terminal(), Terminal()
    ascii_terminal.encoding = "ascii"  # type: ignore[misc]
    assert not show_qr_code(URI, pipe)
    assert not show_qr_code(URI, ascii_terminal)
    monkeypatch.setenv("COLUMNS", "30")
    assert not show_qr_code(URI, terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    assert not show_qr_code(URI, terminal)
    assert pipe.getvalue() == ascii_terminal.getvalue() == terminal.getvalue() == ""


def test_a_line_fits_a_usual_terminal() -> None:
    assert len(_wanted()[0]) <= 80, qr_code.__name__
