"""`casemate recordings`: what went into invocations that failed, and came out of them."""

from __future__ import annotations

import json as encoding
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.new_file import write_new
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import BOLD, print_document, print_line, print_table
from casemate.cli.text import moment, size, version_name
from casemate.model.recording import Recording, RecordingSummary
from casemate.operations.recordings import (
    ListRecordings,
    RecordingList,
    RemoveRecording,
    ShowRecording,
)

app = new_app("See what went into failed invocations, and what came out.")


@answered(
    app, ListRecordings, examples="$ casemate recordings ls\n$ casemate recordings ls shop --json"
)
def ls(found: RecordingList) -> None:
    """List which invocations were recorded, the newest first."""
    print_table(
        ("at", "function", "outcome", "size", "until", "id"),
        [
            (
                moment(each.at),
                version_name(each.project, each.function, each.version),
                each.outcome.value,
                size(each.size),
                moment(each.expires_at),
                each.id,
            )
            for each in found.recordings
        ],
        below=("until", "id"),
        empty="Nothing is recorded.",
    )


@answered(
    app,
    ShowRecording,
    examples="$ casemate recordings show shop inv_01a21a5c499d6d1728d66ddc",
)
def show(found: Recording) -> None:
    """Show the event, requests and their answers, and the reply. Your access is recorded.

    It contains callers' data.
    """
    _head(found.summary)
    print_line("event", BOLD)
    print_document(_text(found.content.event))
    for frame in found.content.frames:
        print_line("asked for" if frame.asked else "answered", BOLD)
        print_document(_text(frame.head))
        if frame.content:
            print_document(_text(frame.content))
    if found.content.held:
        print_line("held by the function's frames when it raised", BOLD)
        print_document(_text(found.content.held))
    print_line("reply", BOLD)
    print_document(_text(found.content.reply))


def _head(summary: RecordingSummary) -> None:
    name = version_name(summary.project, summary.function, summary.version)
    print_line(f"{name}: {summary.outcome.value} at {moment(summary.at)}", BOLD)
    if summary.error_id:
        print_line(f"  error  {summary.error_id}")
    if summary.cut:
        print_line("  Something was left out, since it was too much.")


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


@answered(
    app,
    ShowRecording,
    name="export",
    examples="$ casemate recordings export shop inv_01a21a5c499d6d1728d66ddc --to failed.json",
)
def export(
    found: Recording,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="A new file.")],
) -> None:
    """Write a recording to a file that only you can read. Your access is recorded."""
    from msgspec import to_builtins

    text = encoding.dumps(to_builtins(found), indent=2) + "\n"
    write_new(to, text.encode("ascii"), "--to")
    print_line(f"Written to {to}.")


@answered(
    app,
    RemoveRecording,
    name="rm",
    examples="$ casemate recordings rm shop inv_01a21a5c499d6d1728d66ddc --yes",
    confirm="Delete the recording of {it.id}?",
    removed="{it.id}",
)
def remove(call: Call) -> None:
    """Delete a recording."""
    print_line(f"The recording of {call.operation.id} is gone.")
