"""The rules that come with Casemate, and of each an attack that it finds and a benign twin.

Data files of this package: `rules/TOPIC.yml` in Sigma, `examples/TOPIC.yml` with facts.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
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


def examples() -> dict[str, Map]:
    """Return by a rule's name its `attack` and its `twin`: facts that fire it, and that do not."""
    found: dict[str, Map] = {}
    for data, name in _texts("examples"):
        for document in read_documents(data, name):
            found.update(document)
    return found


def _texts(folder: str) -> list[tuple[bytes, str]]:
    place: Any = files("casemate.detection").joinpath(folder)
    found = sorted((each for each in place.iterdir() if each.name.endswith(".yml")), key=_name)
    return [(each.read_bytes(), each.name) for each in found]


def _name(place: Any) -> str:
    return str(place.name)
