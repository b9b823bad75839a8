"""The entry point: finds the command, runs it, and turns what it raises into an exit code."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from typer.exceptions import Abort, TyperException

import casemate
from casemate.cli import interrupts
from casemate.cli.errors import ExitCode, FunctionStartError, UsageError, exit_code_of
from casemate.cli.help import DocumentedGroup, Row, render
from casemate.cli.options import HELP_NAMES
from casemate.cli.stood_in import leave_out_relative
from casemate.cli.terminal import BOLD, RED, note
from casemate.cli.trace_lines import shown_trace
from casemate.model.errors import CasemateError
from casemate.upgrade.versions import hand_on

EXAMPLES = """\
A new project, tried out on this machine
$ casemate init hello && cd hello
$ casemate dev

On a node
$ casemate serve
$ casemate login http://127.0.0.1:8787
$ casemate deploy
$ casemate invoke hello '{"name": "Ada"}'
$ casemate logs -f hello
"""


class Entry(NamedTuple):
    """One command: loaded from `casemate.cli.commands.<name>` when it is used."""

    name: str
    panel: str
    summary: str
    module: str = ""
    """Where its name is a word of Python."""


PROJECT, NODE, OPERATE, DATA, ACCESS = (
    "Write and deploy",
    "Run a node",
    "Look and operate",
    "Data and secrets",
    "Who may do what",
)

ENTRIES = (
    Entry("init", PROJECT, "Create a working project with one function and its test"),
    Entry(
        "import",
        PROJECT,
        "Turn an AWS Lambda or OpenFaaS application into a project",
        "import_app",
    ),
    Entry(
        "stubs", PROJECT, "Write the types that a handler works with, for editors and type checkers"
    ),
    Entry("dev", PROJECT, "Run the project on this machine and reload it on every save"),
    Entry("contract", PROJECT, "Propose a contract from recorded events, and try one on events"),
    Entry("build", PROJECT, "Build the project's functions into bundles"),
    Entry("sbom", PROJECT, "Print what a bundle is made of, as CycloneDX"),
    Entry(
        "deps",
        PROJECT,
        "See which packages functions need, remove unused ones, clear known vulnerabilities",
    ),
    Entry("audit", PROJECT, "Find weaknesses of an application, or of a running node"),
    Entry("advisories", PROJECT, "Import advisories, and look packages up in them"),
    Entry("deploy", PROJECT, "Build the functions and make them live on the node"),
    Entry("sign", PROJECT, "Build functions and sign the bundles, for somebody else to deploy"),
    Entry("verify", PROJECT, "Check signatures, SBOM and digests, rebuild the source, and compare"),
    Entry("completion", PROJECT, "Print the completion script for bash, zsh or fish"),
    Entry("serve", NODE, "Run a node"),
    Entry("service", NODE, "Run a node as a systemd service"),
    Entry("doctor", NODE, "Probe every protection on this host and say which hold"),
    Entry("tls", NODE, "The certificate of a node"),
    Entry("vault", NODE, "Look at the vault and rotate its keys"),
    Entry("check", NODE, "Read everything a node keeps, and report what is damaged or missing"),
    Entry("backup", NODE, "Fetch a backup of the whole node, which goes on serving"),
    Entry("restore", NODE, "Make a data folder from a backup, without a node"),
    Entry("store", NODE, "Move the state of a node between its own files and a database"),
    Entry("upgrade", NODE, "Replace this release by another signed one, or go back"),
    Entry("ls", OPERATE, "List the functions of the node"),
    Entry("show", OPERATE, "Show a function: versions, aliases, grants, limits, budgets"),
    Entry("invoke", OPERATE, "Call a function and print its answer"),
    Entry("logs", OPERATE, "Print what functions wrote"),
    Entry("errors", OPERATE, "List errors, and look one up by the id that a caller got"),
    Entry("invocations", OPERATE, "List the latest invocations"),
    Entry("top", OPERATE, "Show what functions are doing right now"),
    Entry("metrics", OPERATE, "Show the figures of functions since the node's start"),
    Entry("usage", OPERATE, "Show what functions have used: requests, times, CPU, memory, bytes"),
    Entry("bill", OPERATE, "Show what use costs, with a forecast for the month"),
    Entry("budget", OPERATE, "See, set, lift and remove budgets and quotas"),
    Entry("tune", OPERATE, "Propose limits that fit what functions used in the last seven days"),
    Entry("prices", OPERATE, "See and set the price list of a node"),
    Entry("trace", OPERATE, "Show what one call led to, through queues and functions"),
    Entry("recordings", OPERATE, "See what went into failed invocations, and what came out"),
    Entry("baseline", OPERATE, "See, lock and reset what is usual for a function"),
    Entry("decoys", OPERATE, "See, replace and turn off the decoys that reveal an intruder"),
    Entry("denials", OPERATE, "List what was tried and not allowed, the newest first"),
    Entry("journal", OPERATE, "See what happened, and prove that none of it was changed"),
    Entry("detect", OPERATE, "Find attacks in the journal, by rules"),
    Entry("findings", OPERATE, "See what the rules of detection have found"),
    Entry("incident", OPERATE, "See incidents, contain them, and report on them"),
    Entry("replay", OPERATE, "Replay an incident's events, to see whether a version closes it"),
    Entry("playbook", OPERATE, "See and change how the node responds to findings"),
    Entry("alert", OPERATE, "See and test how people are notified of findings, and silence rules"),
    Entry("drill", OPERATE, "Play attacks on the node, and see whether they are stopped"),
    Entry(
        "trigger",
        OPERATE,
        "List triggers, and send a function a sample event, as its trigger would",
    ),
    Entry("hooks", OPERATE, "See web hooks; print the hook of a git repository"),
    Entry("routes", OPERATE, "See and assign paths and host names of projects"),
    Entry("sources", OPERATE, "See the outside servers that triggers read from"),
    Entry("promote", OPERATE, "Send callers to a version, or to several by weight"),
    Entry("rollback", OPERATE, "Go back to the version that all callers had before"),
    Entry("quarantine", OPERATE, "Take a function out of service"),
    Entry(
        "nodes", OPERATE, "See, drain and remove nodes that share a control store; place projects"
    ),
    Entry("restrict", OPERATE, "Restrict aliases, outside hosts, callers or secrets"),
    Entry("release", OPERATE, "Put a quarantined function back into service"),
    Entry("rm", OPERATE, "Remove a function from the node, or one version of it: FUNCTION@3"),
    Entry("secrets", DATA, "Set, list and remove secrets"),
    Entry("buckets", DATA, "List buckets and their objects; get, put and remove objects"),
    Entry("tables", DATA, "List tables; get, query, put and remove items"),
    Entry("dlq", DATA, "See events that were given up (dead letters), retry or delete them"),
    Entry("queues", DATA, "List queues and topics, send to them, see what waits, purge them"),
    Entry("grants", ACCESS, "See what functions are granted, and what they use"),
    Entry("can", ACCESS, "Tell whether somebody may do something"),
    Entry("policy", ACCESS, "Check, test, list and change the custom policies of a node"),
    Entry("access", ACCESS, "Review who and what has which rights, and keep or take them"),
    Entry("users", ACCESS, "List, add and remove people and their roles"),
    Entry("tokens", ACCESS, "List, make and revoke service tokens"),
    Entry("keys", ACCESS, "See, enrol and revoke the keys that sign bundles"),
    Entry("login", ACCESS, "Log in to a node"),
    Entry("logout", ACCESS, "End the session with a node"),
    Entry("whoami", ACCESS, "Show who you are to the node"),
    Entry("oidc", ACCESS, "Let people log in through an OpenID provider"),
    Entry("workloads", ACCESS, "Let pipelines sign in with an ID token of their CI system"),
)


class RootGroup(DocumentedGroup):
    """All commands. None is imported before it is used: help comes at once."""

    def __init__(self, **attributes: Any) -> None:
        """Name the commands, which suggestions for misspelt ones are made from."""
        super().__init__(**attributes)
        self._loaded: dict[str, Any] = {}
        commands: dict[str, Any] = dict.fromkeys(entry.name for entry in ENTRIES)
        self.commands = commands

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands' names in the order of the help."""
        return [entry.name for entry in ENTRIES]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return a command, or return None if there is none of that name."""
        if cmd_name not in self.commands:
            return None
        if cmd_name not in self._loaded:
            name = next(each.module or each.name for each in ENTRIES if each.name == cmd_name)
            module = importlib.import_module(f"casemate.cli.commands.{name}")
            loaded = typer.main.get_command(module.app)
            loaded.name = cmd_name
            self._loaded[cmd_name] = loaded
        return self._loaded[cmd_name]

    def panels(self, ctx: Any) -> list[tuple[str, list[Row]]]:
        """Return the commands by panel, from the table above alone."""
        titles = dict.fromkeys(entry.panel for entry in ENTRIES)
        return [
            (title, [(e.name, e.summary) for e in ENTRIES if e.panel == title]) for title in titles
        ]


app = typer.Typer(
    cls=RootGroup,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog=EXAMPLES,
    context_settings=HELP_NAMES,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"casemate {casemate.__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Write, deploy and call functions; each call runs in a fresh sandbox.

    CASEMATE_URL and CASEMATE_KEY select the node, otherwise what `casemate login` stored, otherwise
    http://127.0.0.1:8787. Functions are named PROJECT/FUNCTION, or just FUNCTION inside the folder
    of a project.

    Exit codes: 0 success, 1 failure, 2 wrong usage, 3 not found, 4 denied, 5 the node does not
    answer. `casemate COMMAND --help` explains a command.
    """
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Nothing but bugs in Python escapes it."""
    return outcome(
        lambda: typer.main.get_command(app).main(
            list(arguments), prog_name="casemate", standalone_mode=False
        )
    )


def outcome(work: Callable[[], object]) -> int:
    """Do `work`; return the exit code, once what it raises has been told."""
    try:
        result = work()
        sys.stdout.flush()
    except (KeyboardInterrupt, Abort):
        note("\nInterrupted.")
        return ExitCode.INTERRUPTED
    except TyperException as error:
        return _report_usage(error)
    except CasemateError as error:
        return _report(error)
    except BrokenPipeError:
        # Whoever read our output has gone: nothing is wrong, and nothing can be said any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILURE
    except Exception as error:  # noqa: BLE001 - the boundary: a trace is for developers
        return _report_fault(error)
    return result if isinstance(result, int) else ExitCode.OK


def _debugging() -> bool:
    return os.environ.get("CASEMATE_DEBUG") == "1"


_LISTING = frozenset(("ls", "list", "show"))
"""What somebody says to a command that needs no such word."""


def _report_usage(error: TyperException) -> int:
    """Print what is wrong with the command line and how to learn what is right."""
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":
        # Not by `note`: it is made here, colours and line ends included.
        print(render(context.command, context, sys.stderr), file=sys.stderr)
        return ExitCode.USAGE
    path = context.command_path if context is not None else "casemate"
    note(f"Error: {error.format_message().replace('Value error, ', '')}", RED)
    given = context.params.values() if context is not None else ()
    word = next((each for each in given if isinstance(each, str) and each in _LISTING), "")
    # As of a command that has others below it.
    hint = f"Leave `{word}` out, `{path}` lists by itself; " if word else ""
    note(f"Next: {hint}`{path} --help` shows how to use it.")
    return ExitCode.USAGE


def _report(error: CasemateError) -> int:
    """Print an error and its next step."""
    if _debugging():
        _print_trace(error)
    note(f"Error: {error.message}", RED)
    if isinstance(error, FunctionStartError):
        note(shown_trace(error.trace.rstrip(), sys.stderr))
        told = f"{error.type}: {error.failure}"
        if not error.trace.rstrip().endswith(told):  # as a trace of Python does
            note(told, BOLD)
    note(f"Next: {error.next_step or _otherwise(error)}")
    return exit_code_of(error)


def _otherwise(error: CasemateError) -> str:
    if isinstance(error, UsageError):
        return "`--help` of the command shows how to use it."
    if isinstance(error.__cause__, FileNotFoundError | IsADirectoryError | PermissionError):
        return "Name a file that is there and that you may read or write."
    return "Run it again with CASEMATE_DEBUG=1 to see where it failed."


_OF_NAMES = frozenset(
    (
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOSPC, errno.EDQUOT, errno.EROFS),
        errno.EIO,
    )
)
"""What is wrong with a name that was given, or with where it leads, and with nothing of ours."""


_NO_HOME = "Could not determine home directory."
"""What `Path.home` raises, as of a number in a container that is nobody's."""


def _report_no_home() -> int:
    """Print that there is no home folder, in which something was to be looked for or kept."""
    return _report(
        CasemateError(
            f"There is no home folder: HOME is not set, and the user {os.geteuid()} has no name.",
            next_step="Set HOME to a folder of that user's.",
        )
    )


def _report_file(error: OSError) -> int:
    """Print that a file cannot be had, whichever command wanted it."""
    # Of what is written no error says where to.
    name = str(error.filename or "A file, or the standard output,")
    short = f"{name[:40]}...{name[-20:]}" if len(name) > 80 else name
    return _report(
        CasemateError(
            f"{short} cannot be used: {error.strerror}.",
            next_step="Give another name, on a file system with room that can be read and written.",
        )
    )


def _folder_is_gone() -> bool:
    """Tell whether the folder that a terminal stands in was removed, or put in another's place."""
    try:
        os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return True
    return False


def _report_fault(error: Exception) -> int:
    """Print that something failed that should not; the trace only to those who asked for it."""
    if isinstance(error, OSError) and error.errno in _OF_NAMES:
        return _report_file(error)
    if isinstance(error, RuntimeError) and str(error) == _NO_HOME:
        return _report_no_home()
    if isinstance(error, FileNotFoundError) and _folder_is_gone():
        return _report(
            CasemateError(
                "The current folder no longer exists.",
                next_step="Go to one that is: cd",
            )
        )
    if _debugging():
        _print_trace(error)
    note(f"Error: unexpected {type(error).__name__}: {error}", RED)
    note("Next: Run it again with CASEMATE_DEBUG=1 and report what it prints.")
    return ExitCode.FAILURE


def _print_trace(error: BaseException) -> None:
    import traceback

    note("".join(traceback.format_exception(error)))


def main() -> None:
    """Run the command line of this process and exit."""
    code = outcome(_run_own)
    interrupts.end_at_once()
    sys.exit(code)


def _run_own() -> int:
    """Run the command line of this process; return the exit code."""
    interrupts.let_through()
    leave_out_relative(os.environ)
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        # What the terminal's encoding lacks is shown as an escape, not answered with an error.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if reason := hand_on(sys.argv[1:]):
        note(f"casemate: {reason}")
    return run(sys.argv[1:])


def _open_closed() -> None:
    """Have something in the place of streams that were closed by whoever started us.

    It takes their numbers as well, which else the next file would have that is opened.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - for good
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


if __name__ == "__main__":
    main()
