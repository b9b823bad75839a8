"""The attributes of a CloudEvent: which there are, and what their values may be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from casemate.model.event import MAX_CLOCK_AHEAD
from casemate.model.invocation import Outcome
from casemate.model.path import RefusedError

REQUIRED = ("id", "source", "specversion", "type")
SPEC_VERSION = "1.0"
MAX_EXTENSIONS = 32
_MAX_TEXT = 2048
_OPTIONAL = ("datacontenttype", "dataschema", "subject", "time")
_KNOWN = frozenset((*REQUIRED, *_OPTIONAL, "data", "data_base64"))
_OWN = "casemate."
"""What types of our own events begin with."""
_OWN_SOURCE = "/projects/"
_NAME = re.compile(r"[a-z0-9]{1,64}")
_REFERENCE = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
"""Characters of a URI reference (RFC 3986)."""
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Attributes(NamedTuple):
    """Checked attributes."""

    id: str
    source: str
    type: str
    time: float
    subject: str
    content_type: str
    detail: dict[str, object]


def check(raw: Mapping[str, object], received_at: float, where: str = "") -> Attributes:
    """Return the attributes of an event. Raises RefusedError that names what is wrong.

    `where` tells which event of a batch it is. An event without a time happened when it came.
    """
    for name in REQUIRED:
        if name not in raw:
            raise refusal(f"{where}the attribute {name} is missing")
    version = raw["specversion"]
    if version != SPEC_VERSION:
        shown = f"{version[:20]!a}" if isinstance(version, str) else "no text"
        raise refusal(f"{where}specversion is {shown}; expected {SPEC_VERSION!r}")
    kind, source = _text(raw, "type", where), _reference(raw, "source", where)
    if kind.startswith(_OWN):
        raise refusal(f"{where}types that begin with {_OWN!r} are those of the platform itself")
    if source.startswith(_OWN_SOURCE):
        raise refusal(f"{where}sources below {_OWN_SOURCE!r} are those of the platform itself")
    detail: dict[str, object] = {"specversion": SPEC_VERSION}
    time = received_at
    if raw.get("time") is not None:
        time, claimed = _time(raw, received_at, where)
        if claimed:
            detail["claimed_time"] = claimed
    content_type = _text(raw, "datacontenttype", where) if _has(raw, "datacontenttype") else ""
    if content_type:
        detail["datacontenttype"] = content_type
    if _has(raw, "dataschema"):
        detail["dataschema"] = _reference(raw, "dataschema", where)
    extensions = _extensions(raw, where)
    if extensions:
        detail["extensions"] = extensions
    subject = _text(raw, "subject", where) if _has(raw, "subject") else ""
    return Attributes(_text(raw, "id", where), source, kind, time, subject, content_type, detail)


def refusal(what: str) -> RefusedError:
    """Return the refusal of something that is no CloudEvent."""
    return RefusedError(Outcome.INVALID, f"This is not a CloudEvent (1.0): {what}.", status=400)


def _has(raw: Mapping[str, object], name: str) -> bool:
    """Tell whether an optional attribute is there; null is as if it were not."""
    return raw.get(name) is not None


def _text(raw: Mapping[str, object], name: str, where: str) -> str:
    value = raw[name]
    if not isinstance(value, str) or not value:
        raise refusal(f"{where}the attribute {name} is not a text that is not empty")
    if len(value) > _MAX_TEXT:
        raise refusal(f"{where}the attribute {name} is longer than {_MAX_TEXT} characters")
    if _CONTROL.search(value):
        raise refusal(f"{where}the attribute {name} has control characters")
    return value


def _reference(raw: Mapping[str, object], name: str, where: str) -> str:
    value = _text(raw, name, where)
    if _REFERENCE.fullmatch(value) is None:
        raise refusal(f"{where}the attribute {name} is not a URI reference (RFC 3986)")
    return value


def _time(raw: Mapping[str, object], received_at: float, where: str) -> tuple[float, str]:
    """Return when it happened, and what was claimed if that is before 1970 or after now."""
    value = _text(raw, "time", where)
    try:
        if _TIME.fullmatch(value) is None:
            raise ValueError(value)
        time = datetime.fromisoformat(value.upper()).timestamp()
    except (ValueError, OverflowError) as error:
        raise refusal(
            f"{where}the attribute time is not a time (RFC 3339) such as 2026-03-01T12:00:00Z"
        ) from error
    is_likely = 0.0 <= time <= received_at + MAX_CLOCK_AHEAD
    return (time, "") if is_likely else (received_at, value)


def _extensions(raw: Mapping[str, object], where: str) -> dict[str, object]:
    names = [name for name in raw if name not in _KNOWN]
    if len(names) > MAX_EXTENSIONS:
        raise refusal(f"{where}there are more than {MAX_EXTENSIONS} extension attributes")
    found: dict[str, object] = {}
    for name in names:
        value = raw[name]
        if _NAME.fullmatch(name) is None:
            raise refusal(
                f"{where}an extension attribute's name is not of lower-case letters and digits"
            )
        if value is None:
            continue
        if not isinstance(value, (str, bool, int)) or len(str(value)) > _MAX_TEXT:
            raise refusal(
                f"{where}the extension attribute {name} is no text, whole number or boolean of at "
                f"most {_MAX_TEXT} characters"
            )
        found[name] = value
    return found
