"""Intrinsic functions and conditions of CloudFormation, as far as a template alone can tell.

What only a deployment knows stays as `${Name}`. Parameters count with their defaults. A condition
is true, false, or None where it depends on what is not known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from casemate.audit.documents import List, Map, place_of, position
from casemate.audit.limits import MAX_COMPOSED, MAX_EXPANSION, MAX_NOTES
from casemate.audit.model import Place
from casemate.audit.notes import Notes

ABSENT: Final = object()
"""`AWS::NoValue`: the property does not exist."""

_NAME = re.compile(r"\$\{([^${}]{1,512})\}")
_PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NotificationARNs": "${AWS::NotificationARNs}",
}
_ADDED_FIRST = (
    *("AWS::", "ApiGateway", "Serverless", "IamRole", "HttpApi", "Websockets", "S3Bucket"),
    *("SNSTopic", "CloudFront"),
)
_ADDED_LAST = ("LambdaFunction", "LogGroup", "LambdaVersion", "LambdaLayer", "LambdaFunctionUrl")
"""Names of what frameworks add."""
_FUNCTIONS = "Fn::"
_MAX_DEPTH = 60
_MAX_LOOPS = 1_000
_MAX_TEXT = 1 << 20


class Expansion(Exception):  # noqa: N818 - it ends the resolving, and is told as a note
    """More came out of a template than is read."""


def symbolic(value: Any) -> bool:
    """Tell whether a value, or a part of it, is only known when it is deployed."""
    return isinstance(value, str) and "${" in value


class Scope:
    """What names mean within one template."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        mappings: Mapping[str, Any],
        conditions: Mapping[str, Any],
        resources: frozenset[str],
        prefix: str = "",
        included: Callable[[str], Any] | None = None,
    ) -> None:
        """Take the values of parameters, the rest as it is written.

        `included` returns what is in a file beside the template, for `AWS::Include`; None if that
        is not here.
        """
        self.parameters = parameters
        self.mappings = mappings
        self.resources = resources
        self.notes = Notes(MAX_NOTES)
        self._conditions = conditions
        self._known: dict[str, bool | None] = {}
        self._left = MAX_EXPANSION
        self._characters = MAX_COMPOSED
        self._locals: dict[str, str] = {}
        self._prefix = prefix
        self._included = included

    def note(self, place: Place, what: str) -> None:
        """Remember what could not be resolved, once."""
        self.notes.say(place, what)

    # -- values --------------------------------------------------------------------------------

    def resolve(self, value: Any, depth: int = 0) -> Any:
        """Return a value without intrinsic functions; ABSENT where there is none."""
        if not isinstance(value, (dict, list)):
            return value
        self._left -= 1
        if self._left < 0 or depth > _MAX_DEPTH:
            raise Expansion
        if isinstance(value, list):
            return self._list(value, depth)
        if len(value) == 1:
            [(name, argument)] = value.items()
            loop = name.startswith("Fn::ForEach::")
            if not loop and (name in ("Ref", "Condition") or name.startswith(_FUNCTIONS)):
                found = self._function(name, argument, value, depth)
                if found is not NotImplemented:
                    return found
        return self._map(value, depth)

    def _list(self, value: list[Any], depth: int) -> List:
        made = value.like() if isinstance(value, List) else List()
        if isinstance(value, List):
            made.places = []
        for at, each in enumerate(value):
            found = self.resolve(each, depth + 1)
            if found is not ABSENT:
                made.append(found)
                if isinstance(value, List) and at < len(value.places):
                    made.places.append(value.places[at])
        return made

    def _map(self, value: dict[str, Any], depth: int) -> Map:
        made = value.like() if isinstance(value, Map) else Map()
        for key, each in value.items():
            if key.startswith("Fn::ForEach::"):
                self._for_each(made, each, depth)
                continue
            found = self.resolve(each, depth + 1)
            if found is not ABSENT:
                made[self._text(key) if "${" in key else key] = found
        return made

    def _for_each(self, made: Map, argument: Any, depth: int) -> None:
        """Add what a loop of `AWS::LanguageExtensions` makes."""
        if not (isinstance(argument, list) and len(argument) == 3):
            return
        name, values, body = argument
        found = self.resolve(values, depth + 1)
        if not isinstance(found, list) or not isinstance(body, dict):
            self.note(place_of(argument), "the values of a loop (Fn::ForEach) are not known")
            return
        if len(found) > _MAX_LOOPS:
            what = f"a loop (Fn::ForEach) has more than {_MAX_LOOPS} values: the rest is not read"
            self.note(place_of(argument), what)
        for each in found[:_MAX_LOOPS]:
            self._locals[str(name)] = str(each)
            inner = self.resolve(body, depth + 1)
            if isinstance(inner, dict):
                made.update(inner)
                if isinstance(inner, Map):
                    made.places = {**made.places, **dict.fromkeys(inner, (inner.line, 1))}
        self._locals.pop(str(name), None)

    def _function(self, name: str, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        if name == "Ref":
            return self.reference(argument, place_of(whole, "Ref"))
        if name == "Condition":
            return NotImplemented
        method = _METHODS.get(name.removeprefix(_FUNCTIONS))
        if method is not None:
            return method(self, argument, whole, depth)
        if name in ("Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not"):
            return self.condition(whole)
        self.note(place_of(whole, name), f"{name[:64]} is not known")
        return "${" + name[:64] + "}"

    def reference(self, name: Any, place: Place) -> Any:
        """Return what `Ref` means."""
        if not isinstance(name, str):
            self.note(place, "Ref without a name")
            return "${?}"
        if name == "AWS::NoValue":
            return ABSENT
        if name in self._locals:
            return self._locals[name]
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in self.parameters:
            return self.parameters[name]
        if not self._is_there(name):
            self.note(place, f"{name[:128]} is neither a parameter nor a resource of the template")
        return "${" + self._full(name) + "}"

    def _is_there(self, name: str) -> bool:
        """Tell whether a name is one of the template, or one that a framework adds to it."""
        first = name.partition(".")[0]
        return (
            first in self.resources
            or name in self._locals
            or name.startswith(_ADDED_FIRST)
            or first.endswith(_ADDED_LAST)
        )

    def _full(self, name: str) -> str:
        return name if name.startswith("AWS::") else self._prefix + name

    def _text(self, text: str, given: Mapping[str, Any] | None = None) -> str:
        def replaced(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if given is not None and name in given:
                return _shown(given[name])
            if name in self._locals:
                return self._locals[name]
            if name in _PSEUDO:
                return _PSEUDO[name]
            if name in self.parameters:
                return _shown(self.parameters[name])
            return "${" + self._full(name) + "}"

        def parts() -> Iterator[str]:
            at = 0
            for match in _NAME.finditer(text):
                yield text[at : match.start()]
                yield replaced(match)
                at = match.end()
            yield text[at:]

        return self._composed(parts())

    def _composed(self, parts: Iterable[str]) -> str:
        """Return parts as one text, as much as is read of one. Raises Expansion."""
        made = _begun(parts)
        self._characters -= len(made)
        if self._characters < 0:
            raise Expansion
        return made

    # -- functions -----------------------------------------------------------------------------

    def _sub(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        given: Any = None
        if isinstance(argument, list) and len(argument) == 2:
            argument, given = argument[0], self.resolve(argument[1], depth + 1)
        if not isinstance(argument, str):
            self.note(place_of(whole), "Fn::Sub without a text")
            return "${Fn::Sub}"
        return self._text(argument, given if isinstance(given, dict) else None)

    def _join(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        found = self.resolve(argument, depth + 1)
        if isinstance(found, list) and len(found) == 2:
            by, parts = found
            if isinstance(parts, list):
                between = (each for part in parts for each in (str(by), _shown(part)))
                return self._composed(islice(between, 1, None))
            return _shown(parts)
        return "${Fn::Join}"

    def _select(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        found = self.resolve(argument, depth + 1)
        if isinstance(found, list) and len(found) == 2:
            at, parts = found
            if isinstance(parts, str) and not symbolic(parts):
                parts = parts.split(",")
            index = position(at)
            if index is not None and isinstance(parts, list) and index < len(parts):
                return parts[index]
            if isinstance(parts, list) and not any(map(symbolic, (at, *parts))):
                what = f"Fn::Select asks for {str(at)[:32]} of {len(parts)} values"
                self.note(place_of(whole), what)
        return "${Fn::Select}"

    def _split(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        found = self.resolve(argument, depth + 1)
        if isinstance(found, list) and len(found) == 2 and isinstance(found[1], str):
            by = str(found[0]) or ","
            self._left -= found[1].count(by)
            if self._left < 0:
                raise Expansion
            return found[1].split(by)
        return ["${Fn::Split}"]

    def _attribute(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        if isinstance(argument, str):
            argument = argument.split(".", 1)
        if isinstance(argument, list) and argument and isinstance(argument[0], str):
            rest = [_shown(self.resolve(each, depth + 1)) for each in argument[1:]]
            if not self._is_there(argument[0]):
                what = f"{argument[0][:128]} is not a resource of the template"
                self.note(place_of(whole), what)
            first = self._locals.get(argument[0], argument[0])
            return "${" + ".".join([self._full(first), *filter(None, rest)]) + "}"
        return "${Fn::GetAtt}"

    def _find(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        found = self.resolve(argument, depth + 1)
        keys = found[:3] if isinstance(found, list) else []
        values = self._mapped(keys)
        if values and all(each == values[0] for each in values):
            return self.resolve(values[0], depth + 1)
        if (
            isinstance(found, list)
            and len(found) == 4
            and isinstance(found[3], dict)
            and not values
        ):
            return found[3].get("DefaultValue", "${Fn::FindInMap}")
        if not values and not any(map(symbolic, keys)):
            self.note(place_of(whole), f"no map has {'.'.join(map(str, keys))[:128] or 'that'}")
        return "${Fn::FindInMap}"

    def _mapped(self, keys: list[Any]) -> list[Any]:
        """Return what maps have under keys: of a key that only a deployment knows, under each."""
        values: list[Any] = [self.mappings] if len(keys) == 3 else []
        for at, key in enumerate(keys):
            maps = [each for each in values if isinstance(each, dict)]
            every = symbolic(key) and at > 0
            values = [v for m in maps for v in (m.values() if every else [m.get(str(key))])]
        return [each for each in values if each is not None][:_MAX_LOOPS]

    def _if(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        if not (isinstance(argument, list) and len(argument) == 3):
            return "${Fn::If}"
        holds = self.condition_named(str(argument[0]))
        if holds is None:
            either = [self.resolve(each, depth + 1) for each in argument[1:]]
            if either[0] == either[1]:
                return either[0]
            for each in either:  # a list or a map is better than nothing: both may come
                if isinstance(each, (dict, list)):
                    self.note(place_of(whole), f"the condition {argument[0]} is not known")
                    return each
            return "${Fn::If:" + str(argument[0])[:128] + "}"
        return self.resolve(argument[1 if holds else 2], depth + 1)

    def _import(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        name = _shown(self.resolve(argument, depth + 1))
        self.note(place_of(whole), f"the export {name[:128]} of another stack is not known")
        return "${import:" + name[:256].replace("${", "").replace("}", "") + "}"

    def _base64(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        return self.resolve(argument, depth + 1)

    def _length(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        found = self.resolve(argument, depth + 1)
        return len(found) if isinstance(found, list) else "${Fn::Length}"

    def _json(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        return self._composed(json.JSONEncoder().iterencode(self.resolve(argument, depth + 1)))

    def _transform(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        name = argument.get("Name") if isinstance(argument, dict) else argument
        if name == "AWS::Include" and self._included is not None:
            given = self.resolve(argument.get("Parameters"), depth + 1)
            location = given.get("Location") if isinstance(given, dict) else None
            found = self._included(location) if isinstance(location, str) else None
            if found is not None:
                included, self._included = self._included, None  # what is included includes nothing
                try:
                    return self.resolve(found, depth + 1)
                finally:
                    self._included = included
        self.note(place_of(whole), f"the macro {str(name)[:128]} is not run here")
        return "${Fn::Transform}"

    def _only_deployed(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        [name] = whole
        return "${" + name + "}"

    def _some(self, argument: Any, whole: dict[str, Any], depth: int) -> Any:
        [name] = whole
        return ["${" + name + "}"]

    # -- conditions ----------------------------------------------------------------------------

    def condition_named(self, name: str) -> bool | None:
        """Return whether a condition of the template holds; None if that is not known."""
        if name not in self._known:
            self._known[name] = None  # a ring is not known
            if name in self._conditions:
                self._known[name] = self.condition(self._conditions[name])
        return self._known[name]

    def condition(self, value: Any, depth: int = 0) -> bool | None:  # noqa: PLR0911
        """Return whether an expression holds."""
        if isinstance(value, bool):
            return value
        if not isinstance(value, dict) or len(value) != 1 or depth > _MAX_DEPTH:
            return None
        [(name, argument)] = value.items()
        if name == "Condition":
            return self.condition_named(str(argument))
        if not isinstance(argument, list):
            return None
        if name == "Fn::Equals" and len(argument) == 2:
            one, other = (self.resolve(each, depth + 1) for each in argument)
            if symbolic(one) or symbolic(other):
                return True if one == other else None
            return bool(_shown(one) == _shown(other))
        parts = [self.condition(each, depth + 1) for each in argument]
        if name == "Fn::Not" and len(parts) == 1:
            return None if parts[0] is None else not parts[0]
        if name in ("Fn::And", "Fn::Or"):
            decisive = bool(name == "Fn::Or")
            if decisive in parts:
                return decisive
            return None if None in parts else not decisive
        return None


def _begun(parts: Iterable[str]) -> str:
    """Return parts as one text, and make no more of it than is read."""
    kept, left = list[str](), _MAX_TEXT
    for part in parts:
        kept.append(part[:left])
        left -= len(kept[-1])
        if left <= 0:
            break
    return "".join(kept)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        if not isinstance(value, list):
            return "${?}"
        between = (each for part in value for each in (",", _shown(part)))
        return _begun(islice(between, 1, None))
    return "" if value is None or value is ABSENT else str(value)


_METHODS: dict[str, Callable[[Scope, Any, dict[str, Any], int], Any]] = {
    "Sub": Scope._sub,
    "Join": Scope._join,
    "Select": Scope._select,
    "Split": Scope._split,
    "GetAtt": Scope._attribute,
    "FindInMap": Scope._find,
    "If": Scope._if,
    "ImportValue": Scope._import,
    "Base64": Scope._base64,
    "Length": Scope._length,
    "ToJsonString": Scope._json,
    "Transform": Scope._transform,
    "GetAZs": Scope._some,
    "Cidr": Scope._some,
    "GetStackOutput": Scope._only_deployed,
}
