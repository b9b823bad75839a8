"""What errors of Python mean in a sandbox: Python tells them as on any other machine.

There they have other causes, and other remedies than a limit or a key of the manifest.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from casemate.model.function import FunctionSpec
from casemate.model.grant import GrantKind
from casemate.model.grant_lines import line_to_add
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
        *("PermissionError", "[Errno 13] ", "_socket.socket.__init__("),
        "a function sends no datagrams (UDP), whatever it is granted: use TCP",
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
_UNREACHED: Final = (
    "Temporary failure in name resolution",
    "[Errno 101] ",
    "[Errno 13] Connect call",
)
"""What a message has in it of which the sandbox let no connection, or no name, through."""
_DENIED: Final = "Permission denied"
"""So it says of a connection, too. What is said of a file has its name after a colon."""
_CONNECTS: Final = (".connect(", ", in connect", ", in create_connection", ", in sock_connect")


def meaning_of(reply: Reply, spec: FunctionSpec) -> str:
    """Return what the error of a handler means, with the limit that it met; empty for most."""
    limits = spec.limits
    kind = reply.type.rpartition(".")[2]
    if (kind == "BadResultError") is not (reply.outcome is Outcome.BAD_RESULT):
        return ""
    if _is_unreached(reply):
        return _way_out(spec)
    for error in _ERRORS:
        told = error.text in reply.message and error.trace in reply.trace
        if told and error.kind in ("", kind):
            return error.meaning.format(
                tmp=mebibytes(limits.tmp),
                open_files=limits.open_files,
                processes=limits.processes,
            )
    return ""


def _is_unreached(reply: Reply) -> bool:
    """Tell whether the sandbox refused a connection; what a proxy refused says so itself."""
    message = reply.message
    if "Next: " in message:
        return False
    if any(text in message for text in _UNREACHED):
        return True
    if _DENIED not in message or f"{_DENIED}: " in message:
        return False
    # Drivers in C leave no frame, but tell what they were about.
    return "connect" in message.lower() or any(text in reply.trace for text in _CONNECTS)


def _way_out(spec: FunctionSpec) -> str:
    """Return what has to be granted, or that what is granted is reached another way."""
    if any(grant.kind is GrantKind.EGRESS for grant in spec.grants):
        return (
            "a granted host is reached by the proxy of HTTPS_PROXY, or by the port of its "
            "`forward` on 127.0.0.1 if the client supports no proxy, and no other host at all"
        )
    line = line_to_add(spec.name, "egress", {"host": '"HOST"', "port": "PORT"})
    return (
        f"this function is granted no egress. Next: {line}; "
        'an address of this machine or your network needs private = true and exception = "WHY" too'
    )


def mebibytes(size: int) -> str:
    """Return bytes as the manifest has them."""
    return f"{size / (1 << 20):g} MB"
