"""The rules that come with Casemate, and of each an attack that it finds and a benign twin.

Data files of this package: `rules/TOPIC.yml` in Sigma, `examples/TOPIC.yml` with facts. Each
alternative of a rule has an attack and a twin of its own there: in full under `others`, or under
`instead`, as texts that stand in the place of one text of the attack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from casemate.detection.documents import Map, read_documents
from casemate.detection.reading import read_rules
from casemate.detection.rules import Rules


@cache
def shipped_rules() -> Rules:
    """Return the rules that come with Casemate, compiled once."""
    return with_own()


def with_own(*texts: tuple[bytes, str]) -> Rules:
    """Return the shipped rules and one's own, each text with its name. Raises RuleError."""
    return Rules(one for data, name in (*shipped_texts(), *texts) for one in read_rules(data, name))


def shipped_texts() -> list[tuple[bytes, str]]:
    """Return the files of the shipped rules, each with its name: for who reads no files later."""
    return _texts("rules")


@cache
def examples() -> Mapping[str, Map]:
    """Return by a rule's name its `attack` and its `twin`: facts that fire it, and that do not.

    Some have more of them, see `attacks_of` and `twins_of`. Read once: a drill asks for one after
    the other. Nobody changes what is in it.
    """
    found: dict[str, Map] = {}
    for data, name in _texts("examples"):
        for document in read_documents(data, name):
            found.update(document)
    return MappingProxyType(found)


def attacks_of(example: Map) -> Iterator[list[Any]]:
    """Yield each attack of a rule's example, as facts; the first is its `attack`."""
    yield example["attack"]
    yield from (other["attack"] for other in example.get("others", ()))
    for text, found in example.get("instead", {}).items():
        yield from (_instead(example["attack"], text, each) for each in found)


def twins_of(example: Map) -> Iterator[list[Any]]:
    """Yield each benign twin of a rule's example, as facts; the first is its `twin`."""
    yield example["twin"]
    yield from (other["twin"] for other in example.get("others", ()))
    for text, found in example.get("instead", {}).items():
        for near in found.values():
            for each in near if isinstance(near, list) else (near,):
                yield _instead(example["attack"], text, each)


def _instead(value: Any, text: str, other: str) -> Any:
    """Return facts with another text in the place of one."""
    if isinstance(value, dict):
        return {key: _instead(each, text, other) for key, each in value.items()}
    if isinstance(value, list):
        return [_instead(each, text, other) for each in value]
    return other if value == text else value


def _texts(folder: str) -> list[tuple[bytes, str]]:
    found = sorted((Path(__file__).parent / folder).glob("*.yml"))
    return [(each.read_bytes(), each.name) for each in found]
