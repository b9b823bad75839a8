"""Contracts compiled: a JSON Schema (2020-12) that stands alone and costs a bounded time to check.

Nothing is fetched: every `$ref` stays inside the document, and the library's retriever refuses
what would leave it all the same. Patterns are matched in linear time.
"""

from __future__ import annotations

from typing import Never

import jsonschema_rs
import msgspec

from casemate.contracts.cost import MAX_COST, cost
from casemate.contracts.walk import Place, names_of, subschemas
from casemate.contracts.work import MAX_WORK, Work
from casemate.decoding import DECODING_ERRORS
from casemate.model.errors import InvalidInputError

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_BYTES = 64 * 1024
"""Size of one contract's text."""
MAX_DEPTH = 48
"""Levels of arrays and objects in a contract."""

_REGEX_BYTES = 1024 * 1024
_MAX_PATH, _MAX_SHOWN = 200, 160
_MAX_COPIED = 1_000_000
"""Bytes of an event, times looks at them, that are copied to tell where it breaks a contract: some
55 ns each."""
_FAULT_NS, _BYTE_NS = 4_000, 55
_MAX_TELLING = 50_000_000
"""Nanoseconds that telling all that an event breaks may take, by its bound."""
MAX_TOLD = 10
"""Rules that an event breaks which are told, each with its place; of the others how many."""
ONLY_FIRST = "(others are not looked for in an event of this size)"
_REFERENCES = ("$ref", "$dynamicRef")

Schema = dict[str, object] | bool


class ContractError(InvalidInputError):
    """The contract is not valid."""


class Violation(msgspec.Struct, frozen=True):
    """What in an event broke which rule. Holds nothing of the event's content."""

    path: str
    """JSON Pointer into the data (RFC 6901); a name that the contract does not have is `*`."""
    rule: str
    """The keyword that failed, such as `maximum`, or a default limit's name."""
    is_default: bool = False
    """True if there is no contract, and the rule is one of the default limits."""
    bound: str = ""
    """What a default limit allows at most, for people."""
    more: tuple[Violation, ...] = ()
    """What else the event breaks, as far as it is told."""
    untold: int = 0
    """How many more there are."""
    only_first: bool = False
    """True if others were not looked for, as that could have taken long."""

    @property
    def all(self) -> str:
        """Return what it and the others are, on one line."""
        told = "; ".join(map(str, (self, *self.more)))
        if self.untold:
            return f"{told}; and {self.untold} more"
        if self.only_first:
            return f"{told} {ONLY_FIRST}"
        return told

    def __str__(self) -> str:
        """Return what it is, without the others, on one line."""
        rule = f"default limit on {self.rule}" if self.is_default else self.rule
        if self.bound:
            rule += f", at most {self.bound}"
        return f"{self.path or '/'}: {rule}"


class Contract:
    """A compiled contract. Immutable; checking takes microseconds."""

    __slots__ = ("_faults", "_looks", "_names", "_validator", "_work", "is_valid", "text")

    def __init__(self, text: str) -> None:
        """Compile the text of a contract. Raises ContractError that says what is wrong with it."""
        schema = parse(text)
        self._validator = _compiled(schema)
        self._names = names_of(schema)
        self._work = Work(schema)
        self._looks = max(cost(schema), 1)
        self._faults = max(cost(schema, _of_faults), 1)
        self.is_valid = self._validator.is_valid
        """Tells whether decoded data satisfies the contract."""
        self.text = text

    def costly(self, data: bytes) -> Violation | None:
        """Return what is told of JSON whose check could take too long, None if it could not."""
        if self._work.exceeds(data):
            return Violation("", "work", bound=f"what is checked in {MAX_WORK // 1_000_000} ms")
        return None

    def broken_by(self, value: object) -> Violation | None:
        """Return what is told of an event's data that is in clear, as of one that a node gets."""
        data = msgspec.json.encode(value)
        return self.costly(data) or self.violation(value, len(data), values_of(data))

    def violation(self, value: object, size: int, values: int) -> Violation | None:
        """Return the rules that decoded data breaks, None if it satisfies the contract.

        To tell which, the library copies what breaks it, once for each alternative and each rule.
        Where that could take long for JSON of `size` bytes with so many `values`, only the first is
        told, or that there is one.
        """
        if size * self._looks > _MAX_COPIED:
            if self.is_valid(value):
                return None
            most = f"{_MAX_COPIED // self._looks:,} bytes are told where they break the contract"
            return Violation("", "unexplained", bound=most)
        if self._faults * (size * _BYTE_NS + values * _FAULT_NS) > _MAX_TELLING:
            return self._first(value)
        errors = self._validator.iter_errors(value)
        found = list(dict.fromkeys(self._violation(error, value) for error in errors))
        if not found:
            return None
        more, untold = tuple(found[1:MAX_TOLD]), len(found[MAX_TOLD:])
        return msgspec.structs.replace(found[0], more=more, untold=untold)

    def _first(self, value: object) -> Violation | None:
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return msgspec.structs.replace(self._violation(error, value), only_first=True)
        return None

    def _violation(self, error: jsonschema_rs.ValidationError, value: object) -> Violation:
        where = list(error.instance_path)
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
            where.append(error.kind.property)  # what is not there, and not what it is not in
        return Violation(self._path(where, value), error.kind.name)

    def _path(self, parts: list[str | int], value: object) -> str:
        shown = ""
        for part in parts:
            # The library tells a name of digits as a number: what is an index, the data says.
            if isinstance(value, list) and isinstance(part, int) and part < len(value):
                shown, value = f"{shown}/{part}", value[part]
                continue
            name = str(part)
            shown += f"/{_escaped(name) if name in self._names else '*'}"
            value = value.get(name) if isinstance(value, dict) else None
        return shown[:_MAX_PATH]


def values_of(data: bytes) -> int:
    """Return a bound of how many values JSON has, without reading it."""
    return data.count(b",") + data.count(b"[") + data.count(b"{") + 1


def parse(text: str) -> Schema:
    """Return the schema that a contract's text holds. Raises ContractError."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ContractError(
            f"The contract is larger than {MAX_BYTES // 1024} KiB.",
            next_step="Leave out descriptions and examples, or contract less of the event.",
        )
    try:
        schema = msgspec.json.decode(text)
    except DECODING_ERRORS as error:
        raise ContractError(
            f"The contract is not JSON: {error}.", next_step="Correct the file."
        ) from error
    if not isinstance(schema, (dict, bool)):
        raise ContractError(
            "The contract is not a JSON Schema: it is neither an object nor true or false.",
            next_step='Write a schema, such as {"type": "object"}',
        )
    if _deeper_than(schema, MAX_DEPTH):
        raise ContractError(f"The contract nests deeper than {MAX_DEPTH} levels.")
    _check_itself(schema)
    return schema


def canonical(text: str) -> str:
    """Return a valid contract's text without white space, as a bundle holds it. ContractError."""
    schema = parse(text)
    _compiled(schema)
    return msgspec.json.encode(schema).decode()


def _check_itself(schema: Schema) -> None:
    """Refuse what would lead out of the document, or make another dialect of it."""
    for place, part in subschemas(schema):
        dialect = part.get("$schema", DIALECT)
        if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
            raise ContractError(
                f"{_at(place)}$schema is another dialect than JSON Schema 2020-12.",
                next_step=f'Write "$schema": "{DIALECT}", or leave it out.',
            )
        if "$id" in part and place:
            raise ContractError(
                f"{_at(place)}$id makes a document of its own of a part.",
                next_step="Leave it out and refer to the part as #/$defs/...",
            )
        for keyword in _REFERENCES:
            target = part.get(keyword)
            if isinstance(target, str) and not target.startswith("#"):
                raise ContractError(
                    f"{_at(place)}{keyword} leads out of the contract; nothing is fetched.",
                    next_step="Copy what it refers to into $defs and refer to it as #/$defs/...",
                )


def _of_faults(schema: dict[str, object]) -> int:
    """Return how many errors one look with a schema can come to."""
    found = len(schema)
    required, dependent = schema.get("required"), schema.get("dependentRequired")
    found += len(required) if isinstance(required, list) else 0
    for names in dependent.values() if isinstance(dependent, dict) else ():
        found += len(names) if isinstance(names, list) else 0
    return found


def _check_cost(schema: Schema) -> None:
    try:
        costly = cost(schema) > MAX_COST
    except RecursionError:
        costly = True
    if costly:
        raise ContractError(
            "Checking the contract could take too long: alternatives that refer to themselves "
            "multiply with each level of the event.",
            next_step="Write the levels out, or keep one alternative that refers to itself.",
        )


def _compiled(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    _check_cost(schema)
    # An $id would be the base of references, and could pose as a schema that the library knows.
    alone = {k: v for k, v in schema.items() if k != "$id"} if isinstance(schema, dict) else schema
    try:
        return jsonschema_rs.Draft202012Validator(
            alone,
            validate_formats=True,
            ignore_unknown_formats=False,
            retriever=_refuse,
            pattern_options=jsonschema_rs.RegexOptions(
                size_limit=_REGEX_BYTES, dfa_size_limit=_REGEX_BYTES
            ),
        )
    except (ValueError, jsonschema_rs.ReferencingError, RecursionError) as error:
        raise ContractError(
            f"The contract is not a valid JSON Schema (2020-12): {_told(error).removesuffix('.')}.",
            next_step="Correct the schema; patterns are RE2's (no look-around, no back-reference) "
            "and small: a length is bounded by maxLength, not by {1,1500}.",
        ) from error


def _refuse(uri: str) -> Never:
    raise ValueError(f"{uri[:_MAX_SHOWN]} is not part of the contract, and nothing is fetched")


def _told(error: Exception) -> str:
    if isinstance(error, jsonschema_rs.ValidationError):
        place = "".join(f"/{_escaped(str(part))}" for part in error.instance_path)
        return f"{place or '/'}: {error.message[:_MAX_SHOWN]}"
    return str(error)[:_MAX_SHOWN]


def _at(place: Place) -> str:
    return f"{''.join(f'/{_escaped(str(part))}' for part in place) or '/'}: "


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _deeper_than(value: object, depth: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    if depth == 0:
        return True
    return any(
        _deeper_than(v, depth - 1) for v in (value.values() if isinstance(value, dict) else value)
    )
