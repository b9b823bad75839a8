"""What the monitor says of itself, as families of numbers.

Labels are names of the node's settings file: few.
"""

from __future__ import annotations

from casemate.metrics.exposition import labels
from casemate.metrics.families import Plain, Writer, write_plain
from casemate.monitor.protocol import ExportState, PlaceState, Status

_EXPORTS: tuple[Plain[ExportState], ...] = (
    Plain("export_sent_total", "counter", "Records that an export has taken.", lambda e: e.sent),
    Plain("export_refused_total", "counter", "Records that an export refused.",
          lambda e: e.refused),
    Plain("export_missed_total", "counter", "Deleted before they were sent.", lambda e: e.missed),
    Plain("export_behind", "gauge", "Records that an export has yet to get.", lambda e: e.behind),
    Plain("export_well", "gauge", "1 while an export takes what it is sent.",
          lambda e: int(not e.problem)),
)  # fmt: skip
_PLACES: tuple[Plain[PlaceState], ...] = (
    Plain("checkpoints_sent_total", "counter", "Checkpoints sent to a place.", lambda p: p.sent),
    Plain("checkpoints_failed_total", "counter", "Attempts that failed.", lambda p: p.failed),
    Plain("checkpoint_entries", "gauge", "Entries that the last one is of.", lambda p: p.size),
    Plain("checkpoint_sent_time_seconds", "gauge", "When the last one was sent.", lambda p: p.at),
    Plain("checkpoint_place_well", "gauge", "1 while a place takes checkpoints.",
          lambda p: int(not p.problem)),
)  # fmt: skip


def write_monitor(out: Writer, status: Status) -> None:
    """Write how it is."""
    out.family("casemate_monitor_behind", "gauge", "Entries of the journal not examined yet.")
    out.sample("", status.behind)
    out.family("casemate_monitor_lag_seconds", "histogram", "From a fact until it is examined.")
    out.durations("", status.lag)
    out.family("casemate_alert_seconds", "histogram", "From a fact until its alert was taken.")
    out.durations("", status.alerted)
    exports = [(labels({"export": one.name, "signal": one.signal}), one) for one in status.exports]
    for export in _EXPORTS:
        write_plain(out, export, exports)
    places = [(labels({"place": one.name}), one) for one in status.places]
    for place in _PLACES:
        write_plain(out, place, places)
