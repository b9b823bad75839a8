"""What is recorded of a function, the keys under `[function.NAME.recordings]`."""

from __future__ import annotations

from casemate.manifest.numeric_kinds import Duration, Number, Size
from casemate.manifest.structure import Table, model_field
from casemate.model.function import KIB, MIB, RecordingSettings

RECORDINGS = Table(
    "Recordings",
    "What is kept of invocations so that they can be inspected and replayed: event, answers to the "
    "function's uses of capabilities, and reply. Failed and blocked ones are always recorded.",
    (
        model_field(
            RecordingSettings,
            "sample",
            Number(0.0, 1.0),
            "Share of the successful invocations that is recorded as well.",
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
            "How much of the function's recordings is kept; the oldest are deleted.",
        ),
    ),
)
