"""What a restorer is asked and says: records of a fixed form, nothing else.

By a SOCK_SEQPACKET socket the supervisor passes instances on, each by a number that it never uses
again, and hears of those that are discarded. By a SOCK_STREAM socket the gateway asks for
instances to be made ready, and hears that they are: nobody stands in between.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from casemate.kernel.process_files import ProcessFiles
from casemate.restorer.reasons import Reason

REQUEST = struct.Struct("!cIiBIIQ")
"""kind, number of the instance, process id, number of its filters, the gateway's numbers of its
zygote and of itself, microseconds of the CPU that were used in its slot before it was there."""
HOLD, GATEWAY = b"H", b"G"
"""Trace a process, which comes with its descriptors; take over a socket of a gateway, which comes
in the place of the one before it."""
HOLD_DESCRIPTORS = ProcessFiles.COUNT + 3
"""The files of the process, its userfaultfd, its /tmp, what counts its use of the CPU."""
REPORT = struct.Struct("!cIBiI")
"""kind, number, reason, detail, pages that were written back."""
HELD, DISCARDED = b"h", b"d"
ASKED = struct.Struct("!II")
"""What a gateway asks for, by its numbers: to be made ready for a call."""
TOLD = struct.Struct("!IIBIQ")
"""What it is told: the numbers, whether it is ready, how many pages were written back, and what the
instance, with all that it started, has used of the CPU so far, in microseconds."""
UNKNOWN_CPU = 2**64 - 1
"""Of whose use nobody knows."""
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
    if kind not in (HELD, DISCARDED) or (reason == _NONE) != (kind != DISCARDED):
        raise ReportError("a report of another kind")
    try:
        return Report(kind, number, None if reason == _NONE else Reason(reason), detail, pages)
    except ValueError as error:
        raise ReportError("a report with an unknown reason") from error
