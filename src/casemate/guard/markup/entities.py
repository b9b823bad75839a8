"""What would a parser do with the entities of a document: expand them, or read them from elsewhere?

A declaration alone is no attack: parsers differ. One that reads nothing from elsewhere is harmed
only by entities that multiply (`&b;` of many `&a;`), one that keeps them by none (XML 1.0, 4.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..origin import Span
from ..verdict import Verdict

MAX_EXPANDED = 1 << 20
"""Characters that entities may come to before their expansion is an attack on memory."""
_MANY = 10
"""Times the length of the document; less than that is what entities are for."""
_MAX_UNSEEN = 4096
"""Characters of one entity in a document whose end, with its references, was not seen."""
_MAX_ENTITIES = 2000
_MAX_SOURCE = 512
_MAX_VALUE = 8192
"""Characters of an entity's text that are looked at; a longer one counts as one that multiplies."""

_BEGUN = re.compile(r"<!\s*ENTITY\b", re.IGNORECASE)
_DECLARED = re.compile(
    r"<!\s*ENTITY\s+(?P<parameter>%\s*)?(?P<name>[^\s%&;<>\"']{1,256})\s+"
    r"(?:(?P<external>SYSTEM|PUBLIC)\s+(?P<source>[^>]{0,512})|"
    r"(?:\"(?P<value>[^\"]{0,8192})\"|'(?P<single>[^']{0,8192})'))",
    re.IGNORECASE,
)
_EXTERNAL_TYPE = re.compile(
    r"<!DOCTYPE\s+[^\s>\[]+\s+(?:SYSTEM|PUBLIC)\b(?P<source>[^>\[]{0,512})", re.IGNORECASE
)
_REFERENCE = re.compile(r"&([^\s#&;<>\"']{1,256});")
_OF_NETWORK = re.compile(
    r"^\s*[\"'](?:https?|ftp)://|[\"']\s+[\"'](?:https?|ftp)://", re.IGNORECASE
)
_TOO_LONG = "?"
_UNPARSED = re.compile(r"\bNDATA\b", re.IGNORECASE)
_FIX = (
    "parse with defusedxml (`from defusedxml.ElementTree import fromstring`), or with "
    "lxml.etree.XMLParser(resolve_entities=False, no_network=True)"
)


class Reading(NamedTuple):
    """What a parser does with declarations."""

    expands: bool = True
    """It puts the text of an entity in the place of a reference to it."""
    external: bool = False
    """It reads entities from elsewhere, files of this host among them."""
    types: bool = False
    """It reads a document's type from elsewhere."""
    network: bool = True
    """What it reads may be at a URL; if not, only files."""

    @property
    def harmless(self) -> bool:
        """True if it neither expands nor reads anything."""
        return not (self.expands or self.external or self.types)


EXPANDING = Reading()
"""expat as the standard library uses it: it reads nothing from elsewhere."""
ALL = Reading(external=True, types=True)


class _Entity(NamedTuple):
    start: int
    end: int
    name: str
    is_parameter: bool
    source: str | None
    """Where its text is, with quotes; None if it has one itself."""
    value: str


def judge(text: str, spans: Sequence[Span], reading: Reading, *, whole: bool) -> Verdict | None:
    """Return a verdict if what is from outside in a document declares what `reading` would follow.

    `whole`: the text is all of the document, not the first of its pieces.
    """
    if reading.harmless:
        return None
    if reading.types:
        for match in _EXTERNAL_TYPE.finditer(text):
            span = _touching(spans, match.start(), match.end())
            if span is not None and _is_read(match["source"], reading):
                return Verdict(span.origin, "has a type that the parser reads from elsewhere", _FIX)
    found = list(_declared(text))
    for entity in found:
        span = _touching(spans, entity.start, entity.end)
        words = _harm(entity, reading) if span is not None else None
        if span is not None and words is not None:
            return Verdict(span.origin, words, _FIX)
    if not reading.expands:
        return None
    first = next((s for e in found if (s := _touching(spans, e.start, e.end)) is not None), None)
    if first is not None and _multiplies(text, found, whole=whole):
        return Verdict(first.origin, "declares entities, which the parser expands to many", _FIX)
    return None


def _touching(spans: Sequence[Span], start: int, end: int) -> Span | None:
    return next((s for s in spans if s.start < end and s.end > start), None)


def _declared(text: str) -> Iterator[_Entity]:
    """Yield the declarations, those in the text of another as well."""
    for number, begun in enumerate(_BEGUN.finditer(text)):
        if number >= _MAX_ENTITIES:
            raise ValueError(f"the document declares more than {_MAX_ENTITIES} entities")
        match = _DECLARED.match(text, begun.start())
        if match is not None:
            source = match["source"] if match["external"] else None
            value = match["value"] or match["single"] or ""
            named = match["name"], match["parameter"] is not None
            yield _Entity(match.start(), match.end(), *named, source, value)
        elif len(text) - begun.start() > _MAX_VALUE:
            end = begun.start() + _MAX_VALUE
            yield _Entity(begun.start(), end, "", False, None, _TOO_LONG)


def _harm(entity: _Entity, reading: Reading) -> str | None:
    """Return what a parser would do for one entity that it must not."""
    if entity.source is not None:
        if _UNPARSED.search(entity.source) and not entity.is_parameter:
            return None
        follows = reading.external or (entity.is_parameter and reading.types)
        if follows and _is_read(entity.source, reading):
            return "declares an entity that the parser reads from elsewhere"
        return None
    # Declarations may be hidden in the text of a parameter, as references to characters.
    hidden = entity.is_parameter and ("&#" in entity.value or "<!" in entity.value)
    if hidden and (reading.external or reading.types):
        return "declares what declares more, which the parser follows"
    return None


def _is_read(source: str, reading: Reading) -> bool:
    """Tell whether a parser reads what is at a place: without a network no URL."""
    return reading.network or not _OF_NETWORK.search(source[:_MAX_SOURCE])


def _multiplies(text: str, found: Sequence[_Entity], *, whole: bool) -> bool:
    """Tell whether entities refer to entities more than once, or come to far more than the text."""
    values = {e.name: e.value for e in found if not e.is_parameter and e.source is None}
    for value in values.values():
        if (
            value is _TOO_LONG
            or sum(match[1] in values for match in _REFERENCE.finditer(value)) > 1
        ):
            return True
    longest = max(map(len, values.values()), default=0)
    if not whole:
        return longest > _MAX_UNSEEN
    references = sum(match[1] in values for match in _REFERENCE.finditer(text))
    expanded = references * longest
    return expanded > MAX_EXPANDED and expanded > _MANY * len(text)
