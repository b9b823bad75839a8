"""Data from outside that reaches an interpreter in Python code, as `audit.flow` follows it."""

from __future__ import annotations

from collections.abc import Iterator

from casemate.audit.finding import Severity, Step
from casemate.audit.flow import WEAKNESSES, Entry, Flow, analyse, discover
from casemate.audit.flow import Place as FlowPlace
from casemate.audit.model import Function, Place, Platform
from casemate.audit.rule import Hit, Risk, Rule, Subject
from casemate.audit.rules.examples import python

_EVENTS = {
    "http": "http",
    "url": "http",
    "websocket": "http",
    "queue": "queue",
    "topic": "topic",
    "bucket": "storage",
    "table": "table",
    "schedule": "schedule",
    "stream": "stream",
    "mail": "mail",
    "repository": "code",
}
_SHAPES = {Platform.AWS: "lambda", Platform.CASEMATE: "casemate"}
_GRAVE = frozenset(("sql", "command", "code", "deserialisation", "template"))
_MAX_FILES = 400


def _flows(subject: Subject) -> Iterator[Hit]:
    folders: dict[str, list[Function]] = {}
    for function in subject.application.functions:
        if function.code is not None:
            folders.setdefault(function.code, []).append(function)
    for folder, functions in folders.items():
        files = _files(subject, folder, functions[0])
        if files:
            yield from _of_folder(subject, folder, functions, files)


def _files(subject: Subject, folder: str, function: Function) -> dict[str, str]:
    start = "" if folder == "." else f"{folder}/"
    found = {}
    for name in function.files:
        if name.endswith(".py") and len(found) < _MAX_FILES:
            text = subject.code.text(name)
            if text is not None:
                found[name.removeprefix(start)] = text
    return found


def _of_folder(
    subject: Subject, folder: str, functions: list[Function], files: dict[str, str]
) -> Iterator[Hit]:
    start = "" if folder == "." else f"{folder}/"
    by_entry: dict[tuple[str, str], Function] = {}
    entries: dict[tuple[str, str], Entry] = {}
    for function in functions:
        shape = _SHAPES.get(function.platform)
        path = function.entry.removeprefix(start)
        if shape is not None and path in files:
            name = function.handler.replace(":", ".").rpartition(".")[2]
            kinds = [_EVENTS[t.kind] for t in function.triggers if t.kind in _EVENTS]
            by_entry[path, name] = function
            entries[path, name] = Entry(
                path=path, name=name, event=(kinds or ["invoke"])[0], shape=shape
            )
    for found in discover(files):
        entries.setdefault((found.path, found.name), found)
    analysis = analyse(files, list(entries.values()))
    for note in analysis.unresolved:
        place = note.place
        subject.workspace.note(start + place.path, note.what, place.line, place.column + 1)
    for flow in analysis.flows:
        owner = by_entry.get((flow.entry.path, flow.entry.name), functions[0])
        yield _hit(flow, start, owner)


def _hit(flow: Flow, start: str, function: Function) -> Hit:
    weakness = WEAKNESSES[flow.weakness]
    severity = Severity.HIGH if flow.weakness in _GRAVE else Severity.MEDIUM
    lower = {"high": 0, "medium": 1, "low": 2}.get(flow.confidence, 1)
    return Hit(
        place=_place(flow.place, start),
        text=f"{function.name}: {weakness.title} (CWE-{weakness.cwe}): {flow.source.what[:120]} "
        f"comes to {flow.call[:80]}",
        subject=f"{flow.weakness} {flow.call} {flow.entry.name} {flow.source.what}",
        function=function,
        severity=severity.shifted(-lower),
        steps=tuple(Step(_place(step.place, start), step.what[:300]) for step in flow.steps[:50]),
    )


def _place(place: FlowPlace, start: str) -> Place:
    return Place(start + place.path, place.line, place.column + 1)


RULES = (
    Rule(
        id="FL-001",
        title="Data from outside that reaches an interpreter",
        risk=Risk.INPUT,
        owasp="SAS-01",
        cwe=74,
        attack="T1190",
        severity=Severity.HIGH,
        why="Who sends the event has a say in a statement, a command, a path, an address or a page. "
        "The steps say on which way.",
        fix="Pass it as a parameter, or check it against what is expected before it is used.",
        check=_flows,
        vulnerable=python(
            "import subprocess\n\ndef handler(event, context):\n"
            "    name = event['queryStringParameters']['name']\n"
            "    return subprocess.run('convert ' + name, shell=True)"
        ),
        fixed=python(
            "import subprocess\n\ndef handler(event, context):\n"
            "    name = event['queryStringParameters']['name']\n"
            "    if name not in ('a', 'b'):\n        raise ValueError\n"
            "    return subprocess.run(['convert', name])"
        ),
    ),
)
