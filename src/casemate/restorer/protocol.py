"""What the supervisor and a restorer say to each other: records of a fixed form, nothing else.

One SOCK_SEQPACKET socket. The supervisor names each instance by a number that it never uses again.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from casemate.kernel.process_files import ProcessFiles
from casemate.restorer.reasons import Reason

REQUEST = struct.Struct("!cIiB")
"""kind, number of the instance, process id, number of its filters."""
HOLD, MAKE_READY = b"H", b"M"
"""Trace a process, which comes with its descriptors; take its snapshot, or set it back to it."""
HOLD_DESCRIPTORS = ProcessFiles.COUNT + 2
"""The files of the process, its userfaultfd, its /tmp."""
REPORT = struct.Struct("!cIBiI")
"""kind, number, reason, detail, pages that were written back."""
HELD, READY, DISCARDED = b"h", b"r", b"d"
_NONE = 0


class ReportError(ValueError):
    """A restorer has said something that is no report."""


class Report(NamedTuple):
    """What a restorer says of an instance."""

    kind: bytes
    number: int
    reason: Reason | None
    detail: int
    pages: int

    def packed(self) -> bytes:
        """Return it as it is sent."""
        reason = _NONE if self.reason is None else int(self.reason)
        return REPORT.pack(self.kind, self.number, reason, self.detail, self.pages)


def read_report(data: bytes) -> Report:
    """Return a report. Raises ReportError for anything else."""
    if len(data) != REPORT.size:
        raise ReportError("a report of another size")
    kind, number, reason, detail, pages = REPORT.unpack(data)
    if kind not in (HELD, READY, DISCARDED) or (reason == _NONE) != (kind != DISCARDED):
        raise ReportError("a report of another kind")
    try:
        return Report(kind, number, None if reason == _NONE else Reason(reason), detail, pages)
    except ValueError as error:
        raise ReportError("a report with an unknown reason") from error
