"""What is recorded of a function, the keys under `[function.NAME.recordings]`."""

from __future__ import annotations

from casemate.manifest.numeric_kinds import Duration, Number, Size
from casemate.manifest.structure import Table, model_field
from casemate.model.function import KIB, MIB, RecordingSettings

RECORDINGS = Table(
    "Recordings",
    "What is kept of invocations so that they can be looked at and done again: event, answers to "
    "what the function asked for, and reply. Those that fail or are blocked always are.",
    (
        model_field(
            RecordingSettings,
            "sample",
            Number(0.0, 1.0),
            "Share of the invocations that end well which is recorded as well.",
        ),
        model_field(
            RecordingSettings,
            "keep",
            Duration(60.0, 30 * 86_400.0, 7 * 86_400.0),
            "How long a recording is kept.",
        ),
        model_field(
            RecordingSettings,
            "keep_bytes",
            Size(64 * KIB, 64 * MIB, 16 * MIB),
            "How much of the function's recordings is kept; the oldest go.",
        ),
    ),
)
