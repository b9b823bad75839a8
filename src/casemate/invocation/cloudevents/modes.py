"""In which of its three forms a request brings CloudEvents, if it does."""

from __future__ import annotations

from enum import StrEnum

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_FAMILY = "application/cloudevents"


class Mode(StrEnum):
    """The HTTP binding's content modes."""

    NONE = "none"
    BINARY = "binary"
    """Attributes in `ce-` headers, data in the body."""
    STRUCTURED = "structured"
    BATCH = "batch"
    OTHER = "other"
    """An event format that is not JSON."""


def media_type_of(content_type: str) -> str:
    """Return a content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def mode_of(content_type: str, attributes: tuple[tuple[str, str], ...]) -> Mode:
    """Return how a request with these brings CloudEvents."""
    media_type = media_type_of(content_type)
    if media_type.startswith(_FAMILY):
        known = {STRUCTURED: Mode.STRUCTURED, BATCH: Mode.BATCH}
        return known.get(media_type, Mode.OTHER)
    # Any of them is enough: who sends half of an event must hear of it.
    return Mode.BINARY if attributes else Mode.NONE
