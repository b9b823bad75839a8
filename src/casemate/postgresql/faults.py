"""The server's errors, told as the engine's: whoever goes by those need not know which it is.

By SQLSTATE (postgresql.org/docs/15/errcodes-appendix.html). A commit of which it is not known
whether it happened has the code of a disk that failed during one, which makes it `unsure`.
"""

from __future__ import annotations

import psycopg

from casemate.shown_text import printable
from casemate.sqlite import engine

_CONSTRAINT = 19
_MISMATCH = 20
_ERROR = 1
_LOST = ("08", "57P", "58")
_BUSY = frozenset({"40001", "40P01", "53200", "53300", "53400", "55P03", "57014"})
_STANDBY = "25006"
_DEFINITE = ("23", "40001", "40P01", "25", "42", "0A", "P0001", "22")
"""What a server says of a commit that has not happened for certain."""
_FORBIDDEN = "42501"
_MOST_TEXT = 300


def told(error: psycopg.Error, *, committing: bool = False, lost: bool = False) -> engine.Error:
    """Return the engine's error for one of the server or of its client library.

    `lost` says that the connection ended with it, `committing` that a commit was asked for.
    """
    state = error.sqlstate or ""
    if lost or (committing and not state.startswith(_DEFINITE)):
        return _made(engine.OperationalError, engine.IOERR, state, _text(error))
    if state.startswith("23"):
        return _made(engine.IntegrityError, _CONSTRAINT, state, _broken(error))
    if state.startswith("22") or (not state and isinstance(error, psycopg.DataError)):
        # What the server says of a value holds the value.
        return _made(engine.DataError, _MISMATCH, state, "a value is of the wrong form or range")
    return _made(engine.OperationalError, _code(error, state), state, _text(error))


def unsure(why: str) -> engine.Error:
    """Return the error for a commit that happened here, but perhaps nowhere else."""
    return _made(engine.OperationalError, engine.IOERR, "01000", why)


def unreadable(why: str) -> engine.Error:
    """Return the error for an answer whose values are not of the types that it says."""
    return _made(engine.OperationalError, engine.CORRUPT, "", f"its answer cannot be read: {why}")


def undone(why: str) -> engine.Error:
    """Return the error for a commit that the server turned into the opposite."""
    return _made(engine.OperationalError, _ERROR, "25P02", why)


def _code(error: psycopg.Error, state: str) -> int:
    if state == "53100":
        return engine.FULL
    if state in _BUSY:
        return engine.BUSY
    if state in ("XX001", "XX002"):
        return engine.CORRUPT
    if state.startswith(_LOST) or state in (_STANDBY, _FORBIDDEN):
        return engine.IOERR
    if not state and isinstance(error, psycopg.OperationalError):
        return engine.IOERR
    return _ERROR


def _made(kind: type[engine.Error], code: int, state: str, text: str) -> engine.Error:
    error = kind(text)
    error.sqlite_errorcode = code
    error.sqlite_errorname = f"SQLSTATE {state}" if state else "no answer"
    return error


def _broken(error: psycopg.Error) -> str:
    diag = error.diag
    return f"constraint {diag.constraint_name or diag.column_name or diag.table_name or '?'}"


def _text(error: psycopg.Error) -> str:
    text = one_line(error.diag.message_primary or str(error))
    return f"{text}; its role has to own the database" if error.sqlstate == _FORBIDDEN else text


def one_line(text: str) -> str:
    """Return what a server said so that it can be shown: one line, short, no control characters."""
    line = " ".join(text[: 4 * _MOST_TEXT].split())
    return printable(line)[:_MOST_TEXT]
