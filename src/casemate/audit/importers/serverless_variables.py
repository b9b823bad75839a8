"""Variables of the Serverless Framework: `${self:a.b, 'default'}`, `${file(x.yml):key}` and others.

They are resolved to what the files say. What a command line, an environment or a cloud would say
stays as `${opt:stage}` unless a default is given.
"""

from __future__ import annotations

import json
import re
from typing import Any

from casemate.audit.documents import DocumentError, List, Map, place_of, position, read_documents
from casemate.audit.limits import MAX_COMPOSED, MAX_EXPANSION, MAX_NOTES, MAX_VARIABLE_DEPTH
from casemate.audit.model import Place
from casemate.audit.notes import Notes
from casemate.audit.workspace import Workspace

_INNERMOST = re.compile(r"\$\{([^${}]{1,1000})\}")
_SOURCE = re.compile(
    r"(?P<kind>[A-Za-z][\w-]{0,40})(?:\((?P<argument>[^()]{0,300})\))?:(?P<rest>.{0,500})"
)
_FILE = re.compile(
    r"file\(\s{0,4}(?P<path>[^()]{1,300}?)\s{0,4}\)(?::(?P<key>.{0,300}))?", re.DOTALL
)
_TRUTH = re.compile(r"strToBool\((?P<value>[^()]{0,100})\)")
_CLOUD = re.compile(r"AWS::\w{1,40}|[A-Za-z][A-Za-z0-9]{0,250}(?:\.[A-Za-z]{1,40})?")
_MAX_PASSES = 20
_MAX_TEXT = 200_000
MISSING: Any = object()


class Variables:
    """What the variables of one service mean."""

    def __init__(self, root: Map, file: str, workspace: Workspace) -> None:
        """Resolve within the service `root`, read from `file`."""
        self._root = root
        self._file = file
        self._workspace = workspace
        self._files: dict[str, Any] = {}
        self._known: dict[str, str | int] = {}
        """What variables mean that are a text or a number: most stand in many places."""
        self._left = MAX_EXPANSION
        self._characters = MAX_COMPOSED
        self.notes = Notes(MAX_NOTES)

    def note(self, place: Place, what: str) -> None:
        """Remember what could not be resolved, once."""
        self.notes.say(place, what)

    def resolve(self, value: Any, depth: int = 0, place: Place | None = None) -> Any:
        """Return a value with its variables resolved, however deep they are."""
        place = place or Place(self._file)
        self._left -= 1
        if self._left < 0 or depth > MAX_VARIABLE_DEPTH * 3:
            self.note(Place(self._file), "the variables expand to more than is read")
            return "${?}" if isinstance(value, str) else value
        if isinstance(value, dict):
            made: Any = value.like() if isinstance(value, Map) else Map(self._file)
            for key, each in value.items():
                name = self._text(key, depth, place) if "${" in key else key
                where = place_of(value, key, place)
                made[str(name)] = self.resolve(each, depth + 1, where)
                if name != key and isinstance(value, Map):
                    made.places[str(name)] = (where.line, where.column)
            return made
        if isinstance(value, list):
            items: Any = value.like() if isinstance(value, List) else List(self._file)
            for at, each in enumerate(value):
                items.append(self.resolve(each, depth + 1, place_of(value, at, place)))
            return items
        if isinstance(value, str) and "${" in value:
            return self._text(value, depth, place)
        return value

    def _text(self, text: str, depth: int, place: Place) -> Any:
        """Return a text with its variables replaced, the innermost first."""
        kept: dict[str, str] = {}
        for _ in range(_MAX_PASSES):
            match = _INNERMOST.search(text)
            if match is None:
                break
            found = self._variable(match[1].strip(), depth, place)
            if found is MISSING:
                mark = f"\x00{len(kept)}\x00"
                kept[mark] = match[0]
                text = text[: match.start()] + mark + text[match.end() :]
            elif match.start() == 0 and match.end() == len(text):
                return self._restored(found, kept)
            else:
                text = text[: match.start()] + _shown(found) + text[match.end() :]
                self._characters -= len(text)
                if len(text) > _MAX_TEXT or self._characters < 0:
                    self.note(place, "the texts that variables stand in are longer than is read")
                    return "${?}"
        return self._restored(text, kept)

    def _restored(self, value: Any, kept: dict[str, str]) -> Any:
        if isinstance(value, str):
            for mark in reversed(kept):
                value = value.replace(mark, kept[mark])
        return value

    def _variable(self, text: str, depth: int, place: Place) -> Any:
        """Return what a variable means: the first of its alternatives that is there."""
        if text in self._known:
            return self._known[text]
        if depth > MAX_VARIABLE_DEPTH:
            self.note(place, f"the variable {text[:80]} refers to itself, or is nested too deeply")
            return MISSING
        alternatives = [each.strip() for each in _split(text)]
        if len(alternatives) > 1 and alternatives[0].startswith("opt:"):
            alternatives = alternatives[1:]  # no option is given
        for each in alternatives:
            found = self._one(each, depth, place)
            if found is not MISSING and found is not None:
                found = self.resolve(found, depth + 1, place)
                if isinstance(found, (str, int)) and "${" not in str(found):
                    self._known[text] = found
                return found
        if not _CLOUD.fullmatch(text) and not text.startswith(("aws:", "AWS", "sls:instanceId")):
            self.note(place, f"${{{text[:120]}}} is known only when it is deployed")
        return MISSING

    def _one(self, text: str, depth: int, place: Place) -> Any:  # noqa: PLR0911
        if text[:1] in "'\"" and text[-1:] == text[:1]:
            return text[1:-1]
        if re.fullmatch(r"-?\d{1,15}", text):
            return int(text)
        if text in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text]
        file = _FILE.match(text)
        if file:
            return self._of_file(file["path"], file["key"] or "", place)
        told = _TRUTH.fullmatch(text)
        if told is not None:
            return {"true": True, "1": True, "false": False, "0": False}.get(
                told["value"].strip("'\" ").lower(), MISSING
            )
        source = _SOURCE.fullmatch(text)
        if source is None:
            return MISSING
        kind, rest = source["kind"], source["rest"]
        if kind == "self":
            return self._path(self._root, rest, depth, place)
        if kind in ("sls", "opt", "param") and rest == "stage":
            return self._default("stage", "dev", depth, place)
        if kind == "opt" and rest == "region":
            return self._default("region", "us-east-1", depth, place)
        if kind == "aws" and rest in ("region", "accountId"):
            return "${AWS::Region}" if rest == "region" else "${AWS::AccountId}"
        if kind == "param":
            return self._param(rest, depth, place)
        return MISSING

    def _param(self, name: str, depth: int, place: Place) -> Any:
        """Return what a parameter is of the stage that is meant where none is named, or of all."""
        stage = self._default("stage", "dev", depth, place)
        for each in (stage, "default"):
            for path in (f"stages.{each}.params.{name}", f"params.{each}.{name}"):
                found = self._path(self._root, path, depth, place)
                if found is not MISSING:
                    return found
        return MISSING

    def _default(self, name: str, last: str, depth: int, place: Place) -> Any:
        found = self._path(self._root, f"provider.{name}", depth, place)
        asked = (f"opt:{name}", f"opt: {name}", f"sls:{name}", f"sls: {name}")
        if isinstance(found, str) and any(each in found for each in asked):
            parts = _split(found.strip().removeprefix("${").removesuffix("}"))
            return self._one(parts[1].strip(), depth + 1, place) if len(parts) > 1 else last
        return found if isinstance(found, str) else last

    def _path(self, value: Any, path: str, depth: int, place: Place) -> Any:
        for part in filter(None, path.split(".")):
            if isinstance(value, str) and "${" in value:
                value = self.resolve(value, depth + 1, place)
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif isinstance(value, list) and (index := position(part)) is not None:
                if index >= len(value):
                    return MISSING
                value = value[index]
            else:
                return MISSING
        return value

    def _of_file(self, path: str, key: str, place: Place) -> Any:
        found = self._workspace.resolve(self._file, path.strip().strip("'\""))
        if found is None or not self._workspace.has(found):
            self.note(place, f"the file {path[:120]} is not here")
            return MISSING
        if found not in self._files:
            self._files[found] = self._read(found, place)
        value = self._files[found]
        return self._path(value, key.strip(), 0, place) if value is not MISSING else MISSING

    def _read(self, found: str, place: Place) -> Any:
        if not found.endswith((".yml", ".yaml", ".json")):
            if found.endswith((".js", ".cjs", ".mjs", ".ts", ".py")):
                self.note(place, f"{found[:120]} is a program, and is not run here")
                return MISSING
            return self._workspace.text(found) or MISSING
        try:
            documents, notes = read_documents(self._workspace.template(found) or "", found)
        except DocumentError as error:
            self._workspace.note(found, error.message, error.line)
            return MISSING
        for line, column, what in notes:
            self._workspace.note(found, what, line, column)
        return documents[0] if documents else MISSING


def file_of(value: str) -> str:
    """Return the file that a value is the whole of, `${file(x.yml)}`; empty if it is another."""
    if not (value.startswith("${") and value.endswith("}")):
        return ""
    file = _FILE.fullmatch(value[2:-1].strip())
    return file["path"].strip("'\"") if file is not None and not file["key"] else ""


def _split(text: str) -> list[str]:
    """Return the alternatives of a variable: commas outside of quotes and parentheses."""
    parts, start, quote, inside = [], 0, "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "()":
            inside += 1 if char == "(" else -1
        elif char == "," and inside <= 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
