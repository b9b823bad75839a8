"""Values that are taken without pydantic are those that Typer takes, and so is what is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.core import TyperCommand
from typer.main import get_command

from casemate.cli.help import DocumentedCommand


class Kind(StrEnum):
    A = "a"


Folder = Annotated[Path, typer.Option("--it", exists=True, file_okay=False)]
Writable = Annotated[Path, typer.Option("--it", writable=True, resolve_path=True)]
Dash = Annotated[Path, typer.Option("--it", allow_dash=True)]
Port = Annotated[int, typer.Option("--it", min=1, max=65535)]
Clamped = Annotated[int, typer.Option("--it", min=1, max=9, clamp=True)]
Parsed = Annotated[int, typer.Option("--it", parser=lambda text: len(text))]


def text(it: str) -> None: ...
def number(it: int) -> None: ...
def path(it: Path) -> None: ...
def one_of(it: Kind) -> None: ...
def part(it: float) -> None: ...
def texts(it: list[str]) -> None: ...
def numbers(it: list[int]) -> None: ...
def paths(it: list[Path]) -> None: ...
def port(it: Port = 80) -> None: ...
def low(it: Port = 0) -> None: ...
def clamped(it: Clamped = 3) -> None: ...
def parsed(it: Parsed = 3) -> None: ...
def folder(it: Folder = Path("/")) -> None: ...
def writable(it: Writable = Path(".")) -> None: ...
def dash(it: Dash = Path("-")) -> None: ...
def option(it: Annotated[str | None, typer.Option()] = None) -> None: ...
def options(it: Annotated[list[str] | None, typer.Option()] = None) -> None: ...
def flag(it: Annotated[bool, typer.Option("--it")] = False) -> None: ...


ARGUMENTS = (text, number, path, one_of, part, texts, numbers, paths)
OPTIONS = (port, low, clamped, parsed, folder, writable, dash, option, options)
VALUES = (
    *(
        "",
        " ",
        "a",
        "A",
        "é",
        "-",
        "--",
        "\udcff",
        "a\0b",
        "/",
        ".",
        "/none/such",
        "~",
        "/dev/null",
    ),
    *("0", "1", "9", "10", "-1", "-0", "00", "007", "+5", " 5", "5 ", "1_0", "65535", "65536", "٣"),
    *("1.0", "1e3", "0x10", "true", "9" * 18, "9" * 19, "9" * 5000),
)


def taken(call: Callable[..., None], kind: type[TyperCommand], given: list[str]) -> Any:
    """Return what a command gets, and of which type; or what it says to who gave that."""
    got: list[Any] = []

    def take(**values: Any) -> None:
        got.append({name: (type(one), repr(one)) for name, one in values.items()})

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    take.__signature__ = __import__("inspect").signature(call, eval_str=True)  # type: ignore[attr-defined]
    take.__annotations__ = {
        name: each.annotation
        for name, each in take.__signature__.parameters.items()  # type: ignore[attr-defined]
    }
    app.command(cls=kind)(take)
    try:
        get_command(app).main(given, prog_name="it", standalone_mode=False)
    except Exception as error:
        return type(error), getattr(error, "message", str(error))
    return got


CASES = [
    *(
        (call, [*(["--"] if one.startswith("-") else []), one])
        for call in ARGUMENTS
        for one in VALUES
    ),
    *((call, ["--it", one]) for call in OPTIONS for one in VALUES),
    *((call, []) for call in (*ARGUMENTS, *OPTIONS, flag)),
    *((call, ["5", "6", "x"]) for call in (texts, numbers, paths)),
    *[(options, ["--it", "a", "--it", "5"]), (flag, ["--it"])],
]


@pytest.mark.parametrize("call", {call: None for call, _ in CASES}, ids=lambda call: call.__name__)
def test_what_is_taken_and_refused_is_the_same(call: Callable[..., None]) -> None:
    for given in [given for each, given in CASES if each is call]:
        assert taken(call, DocumentedCommand, given) == taken(call, TyperCommand, given), given


@pytest.mark.parametrize(
    "words",
    [
        "'serve', '--data', '/none/such', '--port', '0', '--accept-risk', 'cgroups'",
        "'functions', '--help'",
        "'init', '/proc/none/such'",
    ],
)
def test_a_command_line_is_read_without_pydantic(words: str) -> None:
    code = (
        "import os, sys, casemate.cli.main as main\n"
        f"sys.argv = ['casemate', {words}]\n"
        "os.execv = lambda *_: sys.exit(0)\n"
        "try: main.main()\n"
        "except SystemExit: pass\n"
        "print('pydantic' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr
