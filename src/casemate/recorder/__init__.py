"""The recorder: a process of its own that writes the journal, and the gateway's way to it.

    gateway: happened(fact) ──▶ folding ──▶ client ══ frames ══▶ server ──▶ journal
                                                     (the process has its own user and folder)

What it is: the process (`process`, `server`, `keeper`), what an entry says (`ocsf`) and how it is
sealed (`sealing`), looking for entries (`search`), and the gateway's end (`client`, `folding`). The
gateway can append and ask; nothing that it says changes what was written. What it is not: the
Merkle log and its files (`casemate.journal`), or what a fact means (`detection`).
"""

from typing import TYPE_CHECKING

from casemate.deferred import deferred
from casemate.recorder.errors import NotRecordedError, RecorderError

if TYPE_CHECKING:
    from casemate.recorder.client import RecorderClient
else:
    __getattr__ = deferred(
        __name__,
        client=("RecorderClient",),
    )

__all__ = ["NotRecordedError", "RecorderClient", "RecorderError"]
