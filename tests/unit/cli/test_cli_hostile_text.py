"""No command prints what somebody else wrote in a form that a terminal obeys."""

from __future__ import annotations

import ast
import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from api_fake_control import log_line

from casemate import cli as package
from casemate.cli.commands import journal
from casemate.cli.terminal import print_row
from casemate.model.denial import Denial, DenialKind
from casemate.model.invocation import ErrorRecord, InvocationRecord, Outcome
from casemate.operations.journal import JournalEntry

HOSTILE = (
    "\x1b[2J\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b]8;;http://evil\x1b\\",
    "\x9b31m\x90q\x9c\x85",
    "\r\x08\x08\x7f\x00\x0b\x0c",
    "\u202eevil\u2066\u2069\u200f\u061c",
    "\u2028forged\u2029\ufff9\ufffb\u206a\ufeff",
    "\U000e0001\U000e0041",
    "ad\u200bmin\u2060\xad\u3164\u180e\u1160",
)
OBEYED = {
    char for text in HOSTILE for char in text if not char.isprintable() or ord(char) > 0xE0000
}

PRINTS = {
    "terminal.py": "the one place: everything it prints is made harmless",
    "reference.py": "documentation made of this source",
    "qr_code.py": "blocks and colours of its own",
    "main.py": "the version, and help made of this source",
    "commands/completion.py": "scripts of this source",
    "debugging.py": "what the debugger says, by many_lines",
    "commands/invoke.py": "an answer: bytes where they go to a file, many_lines on a terminal",
    "commands/buckets.py": "an object's bytes, refused on a terminal",
}


def harmless(text: str) -> bool:
    return not any(char in text for char in OBEYED)


def _prints(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("print", "typer.echo", "click.echo", "typer.secho") or (
                called.startswith(("sys.stdout.", "sys.stderr.")) and "write" in called
            ):
                return True
    return False


def test_only_the_terminal_prints() -> None:
    root = Path(package.__file__).parent
    found = {str(path.relative_to(root)) for path in root.rglob("*.py") if _prints(path)}
    assert found == set(PRINTS)


CART: dict[str, Any] = {"project": "shop", "function": "cart", "version": 1}


# At a terminal once with all of them: a run of all commands takes three seconds there.
@pytest.mark.parametrize(
    ("text", "at_a_terminal"), [*((text, False) for text in HOSTILE), ("".join(HOSTILE), True)]
)
def test_records_are_printed_harmlessly(cli, terminal, node, text, at_a_terminal) -> None:
    node.control.lines = [msgspec.structs.replace(log_line(1, text), level=f"a{text}"[:16])]
    error = ErrorRecord(
        id="err_1",
        invocation="inv_1",
        outcome=Outcome.HANDLER_ERROR,
        at=1.0,
        type=text,
        message=text,
        trace=f"Traceback\n{text}\n",
        **CART,
    )
    node.control.error_records = {"err_1": error}
    node.control.invocation_records = [
        InvocationRecord(
            id=text,
            trigger=text,
            outcome=Outcome.OK,
            status=200,
            started_at=1.0,
            queued_ms=0.0,
            run_ms=1.0,
            cold=False,
            request_bytes=0,
            response_bytes=0,
            error_id=text,
            **CART,
        )
    ]
    node.control.denial_records = [
        Denial(
            at=1.0,
            kind=DenialKind.REQUEST,
            by=text,
            action=text,
            resource=text,
            reason=text,
            invocation=text,
            **CART,
        )
    ]
    for command in (
        ("logs",),
        ("logs", "--json"),
        ("errors", "ls"),
        ("errors", "ls", "--each"),
        ("errors", "show", "err_1"),
        ("errors", "show", "err_1", "--json"),
        ("invocations",),
        ("denials",),
    ):
        # Colours of ours are no part of what is looked at.
        shown = terminal(*command, environ={"NO_COLOR": "1"}) if at_a_terminal else cli(*command)
        assert shown.code == 0, shown.err
        out = shown.out.replace("\r\n", "\n")
        assert harmless(out), (command, ascii(out))
        assert "\\" in out


class Client:
    """A node whose journal grows by one entry each time that it is asked how long it is."""

    size = 0

    def call(self, _: object) -> Any:
        self.size += 1
        return self


@pytest.mark.parametrize("text", HOSTILE)
def test_the_journal_is_printed_harmlessly(cli, home, monkeypatch, text) -> None:
    event = {
        "time": 1000,
        "severity_id": 3,
        "activity_name": text,
        "message": f"{text}\nforged",
        "actor": {"user": {"name": f"={text}"}},
        "src_endpoint": {"ip": text},
    }
    entry = JournalEntry(index=1, id=text, event=event)
    monkeypatch.setattr(journal, "connect", lambda: contextlib.nullcontext(Client()))
    for reading in ("pages", "following"):
        monkeypatch.setattr(journal, reading, lambda *_, **__: iter([entry]))
    monkeypatch.setattr(journal.time, "sleep", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    for command, lines in (
        (("search",), 2),
        (("search", "--json"), None),
        (("show", text), None),
        (("export",), 1),
        (("export", "--format", "csv"), 2),
        (("follow",), 1),
        (("follow", "--json"), 1),
    ):
        shown = cli("journal", *command)
        assert harmless(shown.out), (command, ascii(shown.out))
        assert lines is None or len(shown.out.splitlines()) == lines, (command, ascii(shown.out))
    assert json.loads(cli("journal", "export").out) == event


def test_a_row_of_csv_is_no_formula_and_one_line(capsys) -> None:
    print_row(("=1+1", "a,b", "\tx", "two\nlines", '"', "x;=1"))
    assert capsys.readouterr().out == '\'=1+1,"a,b",\'\tx,two\\x0alines,"""",x;\'=1\n'
