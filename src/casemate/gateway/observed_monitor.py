"""What the monitor says of itself, as families of numbers.

Labels are names of the node's settings file: few.
"""

from __future__ import annotations

from casemate.metrics.exposition import labels
from casemate.metrics.families import Writer
from casemate.monitor.protocol import ExportState, PlaceState, Status


def write_monitor(out: Writer, status: Status) -> None:
    """Write how it is."""
    out.family("casemate_monitor_behind", "gauge", "Entries of the journal not looked at yet.")
    out.sample("", status.behind)
    out.family("casemate_monitor_lag_seconds", "histogram", "From a fact until it is looked at.")
    out.durations("", status.lag)
    out.family("casemate_alert_seconds", "histogram", "From a fact until its alert was taken.")
    out.durations("", status.alerted)
    _write_exports(out, status.exports)
    _write_places(out, status.places)


def _write_exports(out: Writer, states: tuple[ExportState, ...]) -> None:
    named = [(labels({"export": one.name, "signal": one.signal}), one) for one in states]
    out.family("casemate_export_sent_total", "counter", "Records that an export has taken.")
    for of, one in named:
        out.sample(of, one.sent)
    out.family("casemate_export_refused_total", "counter", "Records that an export refused.")
    for of, one in named:
        out.sample(of, one.refused)
    out.family("casemate_export_missed_total", "counter", "Deleted before they were sent.")
    for of, one in named:
        out.sample(of, one.missed)
    out.family("casemate_export_behind", "gauge", "Records that an export has yet to get.")
    for of, one in named:
        out.sample(of, one.behind)
    out.family("casemate_export_well", "gauge", "1 while an export takes what it is sent.")
    for of, one in named:
        out.sample(of, int(not one.problem))


def _write_places(out: Writer, states: tuple[PlaceState, ...]) -> None:
    named = [(labels({"place": one.name}), one) for one in states]
    out.family("casemate_checkpoints_sent_total", "counter", "Checkpoints sent to a place.")
    for of, one in named:
        out.sample(of, one.sent)
    out.family("casemate_checkpoints_failed_total", "counter", "Attempts that failed.")
    for of, one in named:
        out.sample(of, one.failed)
    out.family("casemate_checkpoint_entries", "gauge", "Entries that the last one is of.")
    for of, one in named:
        out.sample(of, one.size)
    out.family("casemate_checkpoint_sent_time_seconds", "gauge", "When the last one was sent.")
    for of, one in named:
        out.sample(of, one.at)
    out.family("casemate_checkpoint_place_well", "gauge", "1 while a place takes checkpoints.")
    for of, one in named:
        out.sample(of, int(not one.problem))
