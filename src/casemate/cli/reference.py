"""The reference page of the command line, made from the commands themselves.

`python -m casemate.cli.reference` prints it; `docs/reference/cli.md` holds what it prints.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

import typer

from casemate.cli.errors import EXIT_CODE_MEANINGS
from casemate.cli.help import DocumentedGroup, example_lines, parameters, summary, usage
from casemate.cli.main import ENTRIES, app

_HEAD = """\
<!-- Made by `python -m casemate.cli.reference`; a test compares it. Do not edit. -->
# Command line

`casemate COMMAND --help` shows the same on a terminal.

"""

_ENVIRONMENT = (
    ("CASEMATE_URL", "Address of the node; comes before what `casemate login` stored."),
    ("CASEMATE_KEY", "Key for the node; comes before the stored one."),
    (
        "CASEMATE_CA",
        "File with the certificate of the node's authority, in PEM; comes before the stored one.",
    ),
    ("CASEMATE_ALLOW_HTTP", "`1`: send the key to another machine without encryption."),
    ("CASEMATE_DEBUG", "`1`: show the trace of an error."),
    ("NO_COLOR", "Set to anything: no colours."),
    ("XDG_CONFIG_HOME", "`casemate/credentials.json` below it holds what `login` stored."),
    ("XDG_DATA_HOME", "`casemate` below it is where `serve` keeps its data, unless it is root."),
    (
        "XDG_CACHE_HOME",
        "`casemate` below it is where `build` keeps downloads, and advisories are.",
    ),
    ("CASEMATE_ADVISORIES", "Folder of the advisories, instead of the one in the cache."),
    (
        "CASEMATE_BUILDER_KEY",
        "File of the key that signs what is built, instead of `builder.key` beside the "
        "credentials; made if it is not there.",
    ),
    ("CASEMATE_ID_TOKEN", "ID token of a pipeline, for `casemate login --workload`."),
    ("CASEMATE_STORE", "`--store` of `serve`; also for `doctor` and `store migrate`."),
    (
        "CASEMATE_OBJECTS",
        "`--objects` of the same; its keys are `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.",
    ),
    ("CASEMATE_DATABASES", "`--databases` of `serve`; also for `doctor`."),
)


def markdown() -> str:
    """Return the reference page."""
    root = typer.main.get_command(app)
    context = root.make_context("casemate", [], resilient_parsing=True)
    lines = [_HEAD + "| command | |", "|---|---|"]
    lines += [f"| [{e.name}](#casemate-{e.name}) | {e.summary} |" for e in ENTRIES]
    lines += ["", *_about(root), "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code.value} | {meaning} |" for code, meaning in EXIT_CODE_MEANINGS.items()]
    lines += ["", "## Environment", "", "| variable | meaning |", "|---|---|"]
    lines += [f"| `{name}` | {meaning} |" for name, meaning in _ENVIRONMENT]
    lines.append("")
    for name in root.list_commands(context):  # type: ignore[attr-defined]
        lines += _command(root.get_command(context, name), name, context)  # type: ignore[attr-defined]
    return "\n".join(lines).rstrip() + "\n"


def _command(command: Any, name: str, parent: Any) -> list[str]:
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    lines = [f"## {context.command_path}", "", f"`{usage(command, context)}`", ""]
    lines += _about(command)
    arguments, options = parameters(command, context)
    rows = [row for row in (*arguments, *options) if "--help" not in row[0]]
    if rows:
        lines += ["| parameter | |", "|---|---|"]
        lines += [f"| `{left}` | {_cell(right)} |".replace("`|", "` |") for left, right in rows]
        lines.append("")
    lines += _examples(command.epilog)
    if isinstance(command, DocumentedGroup):
        for child in command.list_commands(context):
            lines += _command(command.get_command(context, child), child, context)
    return lines


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _about(command: Any) -> list[str]:
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    lines = []
    for paragraph in paragraphs:
        lines += [" ".join(paragraph.split()), ""]
    return lines if summary(command) else []


def _examples(epilog: str | None) -> list[str]:
    if not epilog:
        return []
    lines = [
        line if of_command or not line else f"# {line}"
        for line, of_command in example_lines(epilog)
    ]
    return ["```console", *lines, "```", ""]


if __name__ == "__main__":
    sys.stdout.write(markdown())
