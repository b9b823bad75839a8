"""What errors of Python mean in a sandbox: Python tells them as on any other machine.

There they have other causes, and other remedies than a limit or a key of the manifest.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from casemate.model.function import Limits
from casemate.model.invocation import Outcome
from casemate.sandbox.frames import Reply


class _Error(NamedTuple):
    kind: str
    """The class, empty for any."""
    text: str
    """What its message has in it."""
    trace: str
    """What its trace has in it."""
    meaning: str
    """With the limits of the function by name in braces."""


_ERRORS: Final = (
    _Error(
        *("PermissionError", "", "subprocess.py"),
        "a function starts no programs: use a Python package for it",
    ),
    _Error(
        *("", "Temporary failure in name resolution", ""),
        "no host is reached that `egress` in casemate.toml does not grant",
    ),
    _Error(
        *("OSError", "[Errno 28] ", ""),
        "its /tmp holds {tmp}: limits.tmp in casemate.toml",
    ),
    _Error(
        *("OSError", "[Errno 24] ", ""),
        "a process has {open_files} open files: limits.open_files in casemate.toml",
    ),
    _Error(
        *("RuntimeError", "can't start new thread", ""),
        "an instance has {processes} processes and threads: limits.processes in casemate.toml",
    ),
    _Error(
        *("BlockingIOError", "[Errno 11] ", "fork"),
        "an instance has {processes} processes and threads: limits.processes in casemate.toml",
    ),
    _Error(
        *("OSError", "[Errno 30] ", ""),
        "only /tmp can be written: what should stay goes into a bucket or a table",
    ),
    _Error(
        *("ModuleNotFoundError", "No module named ", ""),
        "its package goes into `requirements` of the function, a file of yours into `source`",
    ),
    _Error(
        *("BadResultError", "is not JSON serializable", ""),
        "return text, numbers, true, false, None, lists and dicts; str(value) makes a text",
    ),
)


def meaning_of(reply: Reply, limits: Limits) -> str:
    """Return what the error of a handler means, with the limit that it met; empty for most."""
    kind = reply.type.rpartition(".")[2]
    if (kind == "BadResultError") is not (reply.outcome is Outcome.BAD_RESULT):
        return ""
    for error in _ERRORS:
        told = error.text in reply.message and error.trace in reply.trace
        if told and error.kind in ("", kind):
            return error.meaning.format(
                tmp=mebibytes(limits.tmp),
                open_files=limits.open_files,
                processes=limits.processes,
            )
    return ""


def mebibytes(size: int) -> str:
    """Return bytes as the manifest has them."""
    return f"{size / (1 << 20):g} MB"
