"""What `gcloud functions deploy` says of functions, in scripts, builds and notes beside their code.

Who may call a function of Google Cloud, and what starts it, stands in no file of its own: it is
said where it is deployed. Nothing is run, and a name that a variable gives is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from casemate.audit.model import Place, Reach, Trigger, Variable
from casemate.audit.workspace import Workspace

_ENDINGS = (".sh", ".bash", ".yml", ".yaml", ".md", ".mk")
_NAMES = ("Makefile", "makefile")
_MOST_BYTES = 1 << 20
_MOST_FILES = 500
_MOST_COMMANDS = 200
_LONGEST = 4_000
"""Characters of a command: one of a build has each word on a line of its own."""
_BEGIN = re.compile(r"\bfunctions[\s'\",\]\[-]{1,40}deploy\b")
_WORD = re.compile(r"[^\s'\",\[\]\\]{1,400}")
_ENDS = frozenset((";", "&&", "||", "gcloud", "```", "steps:", "id:", "name:"))
_TRIGGERS = {
    "topic": "topic",
    "bucket": "bucket",
    "resource": "event",
    "event": "event",
    "event-filters": "event",
}


class Deployed(NamedTuple):
    """One command that deploys a function."""

    entry: str
    """Of the function in the code, or its own name where none is said."""
    source: str
    """The folder of its code, beside the file of the command; empty where none is said."""
    runtime: str
    trigger: Trigger
    environment: tuple[Variable, ...]
    retried: bool | None
    """Whether an event that failed is tried again; None for what no event starts."""
    place: Place


def deployed(workspace: Workspace) -> Iterator[Deployed]:
    """Yield the commands of a workspace that deploy functions."""
    names = [n for n in workspace.files if n.endswith(_ENDINGS) or _last(n) in _NAMES]
    names = [n for n in names if workspace.size(n) <= _MOST_BYTES][:_MOST_FILES]
    count = 0
    for name in names:
        text = workspace.template(name) or ""
        for begun in _BEGIN.finditer(text):
            if count == _MOST_COMMANDS:
                what = f"more than {_MOST_COMMANDS} commands deploy functions: the rest is not read"
                workspace.note(name, what)
                return
            count += 1
            place = Place(name, text.count("\n", 0, begun.start()) + 1)
            found = _command(text[begun.end() : begun.end() + _LONGEST], place, name)
            if found is not None:
                yield found


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _command(text: str, place: Place, file: str) -> Deployed | None:
    """Read the words behind `functions deploy`."""
    options = _options(text, file)
    name = options.get("", "")
    entry = options.get("entry-point", name)
    if not re.fullmatch(r"\w{1,80}", entry.replace("-", "_")):
        return None
    kind = next((kind for o, kind in _TRIGGERS.items() if f"trigger-{o}" in options), "http")
    if kind != "http":
        reach = Reach.INTERNAL
    elif "allow-unauthenticated" in options:
        reach = Reach.PUBLIC
    else:  # the command asks, and says no where nobody answers
        named = "no-allow-unauthenticated" in options
        reach = Reach.AUTHENTICATED if named else Reach.UNKNOWN
    if options.get("ingress-settings", "all") != "all" and kind == "http":
        reach = Reach.INTERNAL
    trigger = Trigger(kind=kind, reach=reach, path="/", place=place)
    runtime, given = options.get("runtime", ""), _variables(text, place, file)
    retried = None if kind == "http" else "retry" in options
    return Deployed(entry, options.get("source", ""), runtime, trigger, given, retried, place)


def _variables(text: str, place: Place, file: str) -> tuple[Variable, ...]:
    """Return the variables that a command writes out: `--set-env-vars=STAGE=prod,KEY=...`."""
    given = _GIVEN.search(_of_command(text, file))
    if given is None:
        return ()
    at = Place(place.file, place.line + text.count("\n", 0, given.start(1)))
    pairs = [each.partition("=") for each in given[1].split(",")]
    return tuple(
        Variable(name, value, at)
        for name, _, value in pairs[:_MAX_VARIABLES]
        if value and "$" not in value
    )


_GIVEN = re.compile(r"--(?:set|update)-env-vars[= ]{1,4}[\"']?([^\s\"']{1,4000})")
_MAX_VARIABLES = 100


def _of_command(text: str, file: str) -> str:
    """Return what belongs to a command: in a shell up to its line's end."""
    if file.endswith((".yml", ".yaml")):
        return text
    end = re.search(r"(?<!\\)\n", text)
    return text[: end.start()] if end is not None else text


def _options(text: str, file: str) -> dict[str, str]:
    """Return the options of a command, and its first word under the empty name."""
    text = _of_command(text, file)
    found: dict[str, str] = {}
    waiting = ""
    for each in _WORD.finditer(text):
        word = each[0]
        if word in ("-", "\\"):
            continue
        if word in _ENDS:
            break
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            found[name], waiting = value, "" if value else name
        elif waiting:
            found[waiting], waiting = word, ""
        elif "" not in found:
            found[""] = word
    return found
