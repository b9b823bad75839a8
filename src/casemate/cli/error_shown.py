"""An error's trace and what it says, on a terminal: the message once."""

from __future__ import annotations

import sys

from casemate.cli.terminal import RED, print_text, print_written
from casemate.cli.trace_lines import shown_trace
from casemate.model.invocation import ErrorRecord


def print_error(error: ErrorRecord) -> None:
    """Print the trace of an error, then its type and message with what is added to that."""
    told = f"{error.type}: {error.message}".rstrip()
    trace = error.trace.rstrip()
    if trace := _without_end(trace, told, error.type).rstrip():
        print_text(shown_trace(trace, sys.stdout))
    print_written(told, RED)


def _without_end(trace: str, told: str, kind: str) -> str:
    """Return a trace without its end where that is what is told, or what it begins with.

    A trace of Python ends with type and message; the node adds what the message means here.
    """
    if trace.endswith(told):
        return trace.removesuffix(told)
    before, _, last = trace.rpartition("\n")
    return before if last.startswith(kind) and told.startswith(last) else trace
