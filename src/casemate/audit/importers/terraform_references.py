"""What the configuration of a plan of Terraform says of values that only the deployment knows.

Before a resource is there, its ARN is in no plan: what refers to it has no value, only an
expression, in the configuration. Here such a value becomes `${resource.attribute}`, through the
variables and outputs of modules, and to the instance with the same key of `count` and `for_each`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from casemate.audit.documents import Map
from casemate.audit.importers.aws.resource import at, listed, text

_MAX_MODULES = 2_000
_MAX_DEPTH = 20
_MAX_TARGETS = 200
_MAX_STEPS = 2_000
"""Of one expression."""
_MAX_ALL_STEPS = 200_000
_MAX_REFERENCE = 1_000
_PART = re.compile(r"[^.\[\]]{1,400}(?:\[[^\]]{0,200}\])?")
_INDEX = re.compile(r"\[([^\]]{1,200})\]")
_ELSEWHERE = frozenset(("each", "count", "local", "path", "self", "terraform"))
"""What an expression names that is no resource and that no plan tells of."""
_NOT_TOLD = object()
"""In the place of `after_unknown` where a document has none, as a state."""
_HIDDEN = frozenset(("environment", "password", "master_password", "secret_string", "value"))


class Target(NamedTuple):
    """What an expression refers to."""

    address: str
    """With the modules and indexes that it has in the plan."""
    attribute: str

    def __str__(self) -> str:
        """Return it as a reference of the model."""
        rest = f".{self.attribute}" if self.attribute else ""
        return "${" + name_of(self.address) + rest + "}"


def name_of(address: str) -> str:
    """Return the name that a resource has in the model."""
    return _INDEX.sub(r"_\1", address).replace(".", "/").replace('"', "")


def _general(address: str) -> str:
    """Return an address as the configuration has it: of all instances one."""
    return _INDEX.sub("", address)


def _split(address: str) -> tuple[str, str]:
    """Return the modules that something is in (`module.a["x"].`), and the rest of its address."""
    parts, count = _PART.findall(address), 0
    while count + 1 < len(parts) and parts[count] == "module":
        count += 2
    prefix = "".join(f"{part}." for part in parts[:count])
    return prefix, address[len(prefix) :]


def _key(address: str) -> str:
    found = _INDEX.search(_PART.findall(address)[-1]) if address else None
    return found[1] if found is not None else ""


class Configuration:
    """The expressions of a plan, and which instances there are of what they refer to."""

    def __init__(self, document: Any) -> None:
        """Read the configuration, and what is planned."""
        self._expressions: dict[str, dict[str, Any]] = {}
        self._given: dict[str, dict[str, Any]] = {}
        self._outputs: dict[str, dict[str, Any]] = {}
        self._unknown = {
            text(at(each, "address")): at(each, "change", "after_unknown")
            for each in listed(at(document, "resource_changes"))
        }
        self._instances: dict[str, list[str]] = defaultdict(list)
        self._modules: dict[str, dict[str, None]] = defaultdict(dict)
        self._steps = self._all_steps = 0
        self.data: dict[str, dict[str, Any]] = {}
        """The values of data sources, by their addresses."""
        self._configure(at(document, "configuration", "root_module"))
        self._plan(document)
        self._variables = {
            value: name
            for name, value in _variables(document)
            if at(document, "configuration", "root_module", "variables", name, "default") != value
        }

    def _configure(self, root: Any) -> None:
        waiting, modules = [("", root)], 0
        while waiting and modules < _MAX_MODULES:
            modules += 1
            prefix, module = waiting.pop()
            self._outputs[prefix] = _map(at(module, "outputs"))
            for resource in listed(at(module, "resources")):
                expressions = at(resource, "expressions")
                if isinstance(expressions, dict):
                    self._expressions[prefix + text(at(resource, "address"))] = expressions
            for name, call in _map(at(module, "module_calls")).items():
                inner = f"{prefix}module.{name}."
                self._given[inner] = _map(at(call, "expressions"))
                waiting.append((inner, at(call, "module")))

    def _plan(self, document: Any) -> None:
        for each in listed(at(document, "resource_changes")):
            if at(each, "mode") == "data":
                self._data(text(at(each, "address")), at(each, "change", "after"))
        for resource in _resources(at(document, "prior_state", "values", "root_module")):
            if at(resource, "mode") == "data":
                self._data(text(at(resource, "address")), at(resource, "values"))
        planned = at(document, "planned_values") or at(document, "values")
        for resource in _resources(at(planned, "root_module")):
            address = text(at(resource, "address"))
            if at(resource, "mode") == "data":
                self._data(address, at(resource, "values"))
            else:
                self._instances[_general(address)].append(address)
            prefix, _ = _split(address)
            self._modules[_general(prefix)][prefix] = None

    def _data(self, address: str, values: Any) -> None:
        if isinstance(values, dict):
            if address not in self.data:
                self._instances[_general(address)].append(address)
            self.data[address] = values

    def targets(self, address: str, expression: Any) -> list[Target]:
        """Return what an expression of a resource or data source refers to."""
        prefix, rest = _split(address)
        self._all_steps, self._steps = self._all_steps + self._steps, 0
        if self._all_steps > _MAX_ALL_STEPS:
            return []
        return list(self._targets(prefix, _key(rest), at(expression, "references"), 0))

    def _targets(self, prefix: str, key: str, references: Any, depth: int) -> dict[Target, None]:
        found: dict[Target, None] = {}
        for each in _longest(references):
            self._steps += 1
            if depth > _MAX_DEPTH or self._steps > _MAX_STEPS or len(found) > _MAX_TARGETS:
                break
            parts = _PART.findall(each)
            owner = 3 if parts[0] == "data" else 2
            if parts[0] == "var" and prefix and len(parts) > 1:
                outer, called = _split_last(prefix)
                given = self._given.get(_general(prefix), {}).get(_general(parts[1]))
                more = self._targets(outer, _key(called), at(given, "references"), depth + 1)
                found.update(more)
            elif parts[0] == "module" and len(parts) > 2:
                for inner in self._calls(f"{prefix}module.{parts[1]}.", key):
                    made = self._outputs.get(_general(inner), {}).get(_general(parts[2]))
                    refers = at(made, "expression", "references")
                    found.update(self._targets(inner, key, refers, depth + 1))
            elif parts[0] not in _ELSEWHERE and parts[0] != "var" and len(parts) >= owner:
                rest = ".".join(parts[owner:])
                for one in self._found(prefix + ".".join(parts[:owner]), key):
                    found[Target(one, rest)] = None
        return found

    def _calls(self, prefix: str, key: str) -> list[str]:
        every = self._modules.get(_general(prefix), {})
        if prefix in every or not every:
            return [prefix]
        same = [each for each in every if key and _key(_split_last(each)[1]) == key]
        return same or list(every)

    def _found(self, address: str, key: str) -> list[str]:
        """Return the instances that an address means: that one, that of the same key, all."""
        prefix, rest = _split(address)
        every = self._instances.get(_general(address), [])
        if address in every or not every:
            return [address]
        own = [each for each in every if _split(each)[0] == prefix] or every
        if _key(rest):
            return [each for each in own if _key(_split(each)[1]) == _key(rest)] or [address]
        return [each for each in own if key and _key(_split(each)[1]) == key] or own

    def completed(self, address: str, values: Map, named: frozenset[str] = frozenset()) -> Map:
        """Return values with references in the place of what is known after the deployment.

        `named` are attributes that name another resource: there a reference is more than a value.
        """
        unknown = self._unknown.get(address, _NOT_TOLD)
        for key, expression in self.expressions(address).items():
            value, below = values.get(key), _below(unknown, key)
            if key in named and self.targets(address, expression):
                value, below = None, True
            made = self._value(address, value, expression, below, 0)
            if made is not None:
                values[key] = self._shown(made, 0) if key in _HIDDEN else made
        return values

    def block(self, address: str, value: Any, key: str) -> list[Any]:
        """Return the blocks of one name of a resource or data source, completed."""
        expression = self.expressions(address).get(key)
        below = _below(self._unknown.get(address, _NOT_TOLD), key)
        return listed(self._value(address, value, expression, below, 0))

    def expressions(self, address: str) -> dict[str, Any]:
        """Return the expressions of a resource or data source."""
        return self._expressions.get(_general(address), {})

    def _value(self, address: str, value: Any, expression: Any, unknown: Any, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            return value
        if isinstance(expression, list):
            return self._blocks(address, value, expression, unknown, depth)
        if not at(expression, "references"):
            return at(expression, "constant_value") if value is None else value
        missing = [key for key, flag in _map(unknown).items() if flag is True]
        if missing and isinstance(value, dict | None):
            every = [str(each) for each in self.targets(address, expression)]
            only = every[0] if len(every) == 1 else ""
            return {**(value or {}), **{key: only or "${" + key + "}" for key in missing}}
        if isinstance(value, list) and None in value:
            every = self._told(address, expression)
            return [*(each for each in value if each is not None), *every]
        return self._later(address, expression, unknown) if value is None else value

    def _later(self, address: str, expression: Any, unknown: Any) -> str | None:
        """Return what an expression names, unless it is known that there is nothing."""
        told = unknown is _NOT_TOLD and bool(self.targets(address, expression))
        return "".join(self._told(address, expression)) if told or unknown is True else None

    def _told(self, address: str, expression: Any) -> list[str]:
        """Return what is referred to; by the name that it has there, if that leads nowhere."""
        found = [str(each) for each in self.targets(address, expression)]
        return found or ["${" + each + "}" for each in _longest(at(expression, "references"))[:1]]

    def _blocks(
        self, address: str, value: Any, expression: list[Any], unknown: Any, depth: int
    ) -> Any:
        blocks = listed(value) or [{} for _ in expression]
        made = []
        for at_, block in enumerate(blocks):
            inner = expression[min(at_, len(expression) - 1)] if expression else None
            if not isinstance(block, dict) or not isinstance(inner, dict):
                made.append(block)
                continue
            filled = dict(block)
            for name, each in inner.items():
                below = _below(_below(unknown, at_), name)
                found = self._value(address, block.get(name), each, below, depth + 1)
                if found is not None:
                    filled[name] = found
            made.append(filled)
        return made

    def _shown(self, value: Any, depth: int) -> Any:
        """Return a value without what was given when the plan was made: it is not written there."""
        if isinstance(value, str):
            name = self._variables.get(value)
            return value if name is None else "${var/" + name + "}"
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            return {key: self._shown(each, depth + 1) for key, each in value.items()}
        if isinstance(value, list) and depth < _MAX_DEPTH:
            return [self._shown(each, depth + 1) for each in value]
        return value


def _below(unknown: Any, key: str | int) -> Any:
    """Return what is told of a part of a value: of all of it, of none, or of some."""
    return unknown if unknown is True or unknown is _NOT_TOLD else at(unknown, key)


def _split_last(prefix: str) -> tuple[str, str]:
    """Return the modules around the innermost one, and that one's call."""
    parts = _PART.findall(prefix)
    return "".join(f"{part}." for part in parts[:-2]), ".".join(parts[-2:])


def _longest(references: Any) -> list[str]:
    """Return what is referred to: beside an attribute the resource that has it is named too."""
    every = [each for each in listed(references) if isinstance(each, str)]
    every = [each for each in every if 0 < len(each) <= _MAX_REFERENCE and _PART.match(each)]
    begun = {each[: found.start()] for each in every for found in re.finditer(r"[.\[]", each)}
    return [each for each in dict.fromkeys(every) if each not in begun][:_MAX_TARGETS]


def _variables(document: Any) -> Iterator[tuple[str, str]]:
    for name, given in _map(at(document, "variables")).items():
        value = at(given, "value")
        if isinstance(value, str) and len(value) >= 4:
            yield name, value


def _resources(module: Any) -> Iterator[Any]:
    waiting, modules = [module], 0
    while waiting and modules < _MAX_MODULES:
        modules += 1
        each = waiting.pop()
        waiting += listed(at(each, "child_modules"))
        yield from listed(at(each, "resources"))


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
