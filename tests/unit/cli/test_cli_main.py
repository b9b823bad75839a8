"""Help, usage errors, exit codes, and what happens when something breaks."""

from __future__ import annotations

import inspect
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from casemate.cli import operation_command
from casemate.cli.errors import ExitCode
from casemate.cli.help import summary
from casemate.cli.main import ENTRIES, app
from casemate.cli.reference import markdown
from casemate.folder.ownership import DataFolderError, require_place
from casemate.model.errors import CasemateError

ROOT = Path(__file__).parents[3]


def test_help_names_every_command_and_its_panel(cli) -> None:
    result = cli("--help")
    assert result.code == 0
    for entry in ENTRIES:
        assert entry.name in result.out
        assert entry.summary in result.out
        assert entry.panel in result.out
    assert cli().out == result.out


def test_help_of_every_command_agrees_with_the_table(home) -> None:
    root = typer.main.get_command(app)
    context = root.make_context("casemate", [], resilient_parsing=True)
    for entry in ENTRIES:
        command = root.get_command(context, entry.name)
        assert summary(command) == entry.summary
        assert command.epilog or hasattr(command, "commands"), entry.name


_DOCUMENTS = {
    "sbom": "CycloneDX in JSON",
    "advisories vex": "OpenVEX or CycloneDX in JSON",
    "contract infer": "a JSON Schema",
    "journal export": "an event in JSON on each line, or CSV",
    "completion": "a script of the shell",
    "hooks git": "a script of git",
    "buckets get": "the object",
    "policy schema": "the schema of Cedar",
}
"""Commands whose output is a document of a format of its own, which programs read as it is."""


def _leaves(command, context, name=()) -> Iterator[tuple[str, Any]]:
    for each in command.list_commands(context) if hasattr(command, "commands") else ():
        child = command.get_command(context, each)
        below = child.make_context(each, [], parent=context, resilient_parsing=True)
        if hasattr(child, "commands"):
            yield from _leaves(child, below, (*name, each))
        else:
            yield " ".join((*name, each)), child


def test_every_command_prints_json_or_a_document(home) -> None:
    root = typer.main.get_command(app)
    context = root.make_context("casemate", [], resilient_parsing=True)
    without = {
        name
        for name, command in _leaves(root, context)
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == _DOCUMENTS.keys()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.name)
def test_help_fits_its_width(cli, entry, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    result = cli(entry.name, "--help")
    assert result.code == 0
    panels = result.out.split(" Examples")[0]
    assert max(map(len, panels.splitlines())) <= 70


def test_an_example_over_several_lines_is_one_command(cli) -> None:
    shown = cli("workloads", "add", "--help").out.split(" Examples")[1]
    assert "\n       --audience https://node.example.org" in shown
    assert shown.count("# ") == 2  # what stands above each of both
    assert "\n    --audience https://node.example.org" in markdown()
    assert "#     --" not in markdown()


@pytest.mark.parametrize("words", [["--help"], ["audit", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['casemate', *{words}]\n"
        f"from casemate.cli.main import run\nrun({words})\n"
        "print(sorted({'httpx2', 'rich', 'msgspec', 'starlette'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_starts_fast() -> None:
    best = min(_seconds_of_help() for _ in range(5))
    assert best < 0.4  # measured: 0.1 s; the bound has to hold on a busy machine


def _seconds_of_help() -> float:
    """Return the processor time of the command, which a busy machine does not change much."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "--help"], capture_output=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_version(cli) -> None:
    assert cli("--version").out == "casemate 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["lss"], "Did you mean 'ls'"),
        (["version"], "Did you mean '--version'"),
        (["help"], "Did you mean '--help'"),
        (["budget", "ls", "--project", "shop"], "Did you mean 'casemate budget ls PROJECT'?"),
        (["dlq", "ls", "--name=jobs"], "Did you mean 'casemate dlq ls NAME'?"),
        (["show", "f", "--project", "shop"], "Did you mean 'casemate show PROJECT/FUNCTION'?"),
        (["invoke", "f", "--project", "a"], "Did you mean 'casemate invoke PROJECT/FUNCTION'?"),
        (["secrets", "help"], "Did you mean '--help'"),
        (["ls", "--jsn"], "--jsn"),
        (["show"], "FUNCTION"),
        (["promote", "a/b"], "VERSION"),
        (["logs", "--limit", "many"], "--limit"),
        (["rollback", "a/b", "--to", "0"], "--to"),
        (["show", "a/b/c"], "project"),
        (["show", "A/b"], "project"),
        (["show", "a/b@live"], "expected only a function"),
        (["show", "b"], "which project"),
        (["deploy"], "casemate.toml"),
        (["invocations", "a/b", "--id", "x"], "one of them"),
    ],
)
def test_wrong_usage(cli, arguments, text) -> None:
    result = cli(*arguments)
    assert result.code == ExitCode.USAGE
    assert text in result.err
    assert "\nNext: " in result.err
    assert result.out == ""


def test_a_group_without_a_command_shows_its_help(cli) -> None:
    result = cli("tokens")
    assert result.code == ExitCode.USAGE
    assert "Revoke a token" in result.err


def test_every_error_ends_with_the_next_step(cli, monkeypatch) -> None:
    def fail(*_a, **_k):
        raise CasemateError("broken")

    monkeypatch.setattr(operation_command, "connect", fail)
    result = cli("ls")
    assert result.code == 1
    assert result.err.splitlines()[0] == "Error: broken"
    assert result.err.splitlines()[-1].startswith("Next: ")


@pytest.mark.parametrize(
    "line",
    [
        ("advisories", "check", "nosuch"),
        ("advisories", "take-vex", "nosuch", "t/f", "--for", "9d"),
        ("incident", "evidence", "--verify", "nosuch"),
        ("playbook", "check", "nosuch"),
        ("sbom", "--bundle", "nosuch"),
    ],
)
def test_a_file_that_is_not_there_is_to_be_named_otherwise(cli, line) -> None:
    result = cli(*line)
    assert result.code != 0
    assert "nosuch cannot be read" in result.err
    assert result.err.splitlines()[-1].startswith("Next: Name a file that is there")


@pytest.mark.parametrize(
    "command",
    [("deploy", "-m"), ("import", "sam"), ("policy", "validate"), ("audit",), ("verify",)],
)
@pytest.mark.parametrize("name", ["n" * 300, "loop/x"])
def test_a_name_that_no_file_can_have_is_no_fault(home, cli, command, name) -> None:
    (home / "loop").symlink_to("loop")
    result = cli(*command, str(home / name))
    assert result.code != 0
    assert "unexpected" not in result.err and "\nNext: " in result.err
    assert len(result.err) < 1500


@pytest.mark.parametrize("line", ["logout", "advisories status", "upgrade --back"])
def test_a_user_without_a_home_is_told_to_name_one(cli, home, monkeypatch, line) -> None:
    """As in a container that runs as a number: before it was a fault of ours."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("CASEMATE_ADVISORIES", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)

    def nobody(_uid: int) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", nobody)
    result = cli(*line.split())
    assert result.code == 1
    assert "user 54321 has no name" in result.err and "Next: Set HOME" in result.err
    with pytest.raises(DataFolderError, match="of the system"):
        require_place(Path("/"))
    require_place(home / "data")


def test_traces_are_for_those_who_ask(cli, monkeypatch) -> None:
    def fail(*_a, **_k):
        raise ZeroDivisionError("odd \x1b[2J")

    monkeypatch.setattr(operation_command, "connect", fail)
    result = cli("ls")
    assert result.code == 1
    assert "Traceback" not in result.err
    assert "\x1b" not in result.err
    assert "CASEMATE_DEBUG=1" in result.err
    monkeypatch.setenv("CASEMATE_DEBUG", "1")
    assert "Traceback" in cli("ls").err


def test_interruption_is_clean(cli, monkeypatch) -> None:
    def interrupt(*_a, **_k):
        raise KeyboardInterrupt

    monkeypatch.setattr(operation_command, "connect", interrupt)
    result = cli("ls")
    assert result.code == 130
    assert "Traceback" not in result.err


def test_ctrl_c_while_following(node, home) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "casemate.cli.main", "logs", "-f"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The tests may run in the background of a shell, which has them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 15
    while not node.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_reader_that_leaves_is_no_fault(node, home) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "tokens", "ls"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


_INTERRUPTED = """
import atexit, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
when = sys.argv[1]

class Interrupt:
    def find_spec(self, name, *rest):
        if name == when:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
if when == "end":
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
sys.argv[1:] = ["--version"]
from casemate.cli.program import main
main()
"""


@pytest.mark.parametrize(
    ("when", "code", "told"),
    [
        ("casemate.cli.main", 130, "\nInterrupted.\n"),
        ("casemate.cli.help", 130, "\nInterrupted.\n"),
        ("end", -signal.SIGINT, ""),
    ],
)
def test_ctrl_c_leaves_no_trace_while_a_command_loads_and_ends(when, code, told) -> None:
    """In the first tenth of a second it was answered with twenty lines of imports."""
    arguments = [sys.executable, "-c", _INTERRUPTED, when]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, told)


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize(("arguments", "code"), [("tokens ls", 0), ("ls --wrong", 2)])
def test_closed_streams_are_no_fault(node, home, closed, arguments, code) -> None:
    command = f'exec "{sys.executable}" -m casemate.cli.main {arguments} {closed}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert "unexpected" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", ["whoami", "--help", "completion bash"])
def test_what_cannot_be_written_is_told_once(node, home, arguments) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "casemate.cli.main", *arguments.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "the standard output, cannot be used: No space left on device" in done.stderr
    assert "Next: " in done.stderr and "Exception ignored" not in done.stderr


def test_output_in_a_poor_encoding(home) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "init", "--help"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert b"casemate init" in done.stdout


def test_colours_are_for_terminals_and_follow_no_color(terminal, cli) -> None:
    assert "\x1b[" in terminal("--help").out
    assert "\x1b[" not in terminal("--help", environ={"NO_COLOR": "1"}).out
    assert "\x1b[" not in terminal("--help", environ={"TERM": "dumb"}).out
    assert "\x1b[" not in cli("--help").out


PROGRAMS = (
    *("runner", "build", "manifest", "gateway", "supervisor", "maintenance"),
    *("child", "vault", "egress", "sources", "nodes", "migration"),
    "project",  # functions of drills: a node runs them
)


def test_only_the_entry_point_exits() -> None:
    for path in (ROOT / "src/casemate").rglob("*.py"):
        if path.parent.name != "cli" and "sys.exit(" in path.read_text():
            # Programs of their own, which the command line or the supervisor starts.
            assert path.parent.name in PROGRAMS, path


def test_commands_have_no_parameter_for_a_credential() -> None:
    """Whoever may see processes would see it. `secret` is the name of one, never its value."""
    for entry in ENTRIES:
        module = __import__(f"casemate.cli.commands.{entry.module or entry.name}", fromlist=["app"])
        for registered in module.app.registered_commands:
            names = inspect.signature(registered.callback).parameters
            assert not {"value", "password", "token", "api_key", "key_text"} & set(names)


def test_reference_is_up_to_date() -> None:
    page = ROOT / "docs/reference/cli.md"
    assert page.read_text() == markdown(), "run: python -m casemate.cli.reference"


def test_every_variable_that_commands_read_is_in_the_reference() -> None:
    of_functions = {"CASEMATE_PROJECT", "CASEMATE_FUNCTION"}
    read = {
        name
        for path in (ROOT / "src/casemate/cli").rglob("*.py")
        for name in re.findall(r"\bCASEMATE_[A-Z_]+\b", path.read_text())
        if path.name != "reference.py"
    }
    table = markdown().partition("## Environment")[2].partition("\n## ")[0]
    assert read - of_functions <= set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def test_wrong_usage_leads_to_the_help_and_not_to_a_trace(cli) -> None:
    refused = cli("audit", "node", "--baseline", "b.json")

    assert refused.code == 2
    assert "--help" in refused.err and "CASEMATE_DEBUG" not in refused.err


@pytest.mark.parametrize("words", [("build",), ("deploy",), ("init", "x"), ("dev",), ("show", "x")])
def test_a_folder_that_is_gone_is_no_fault(home, cli, tmp_path, monkeypatch, words) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    told = cli(*words)
    assert told.code == ExitCode.FAILURE and "no longer exists" in told.err
    assert "unexpected" not in told.err and "Next: Go to one that is" in told.err
