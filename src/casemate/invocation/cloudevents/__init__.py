"""CloudEvents 1.0 (JSON format and HTTP binding): read from requests, written to answers.

Not the events of our own sources, which are `casemate.model.event.Event` from the start. May
import `model` and nothing else of ours.
"""

from casemate.invocation.cloudevents.modes import STRUCTURED, Mode, media_type_of, mode_of
from casemate.invocation.cloudevents.reading import read_events
from casemate.invocation.cloudevents.writing import answered, structured

__all__ = [
    "STRUCTURED",
    "Mode",
    "answered",
    "media_type_of",
    "mode_of",
    "read_events",
    "structured",
]
