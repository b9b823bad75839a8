"""Failed attempts to log in, counted over all nodes, in SQL. The store's clock decides.

A row is the failures of an account or an address, or that an account is known at an address. A
flood of made-up names displaces itself: what has failed least is forgotten first.
"""

from __future__ import annotations

from typing import Final

import msgspec

from casemate.model.back_off import FORGET_AFTER, names_of
from casemate.operations.accounts import CountAttempt, ForgetAttempts, SettleAttempt
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine
from casemate.store.sqlite.clock import now_of

MAX_ROWS: Final = 16_384
KNOWN_SECONDS: Final = 30 * 86_400.0
"""For which an address is known after a login."""
_KNOWN_COUNT: Final = 1_000_000
"""In the place of a count, so that what is known is forgotten last."""
_SELECT = """
    SELECT name, count, last_at FROM login_attempt
    WHERE name IN (SELECT value FROM json_each(?))
"""
_COUNT_ONE = """
    INSERT INTO login_attempt VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET
    count = login_attempt.count + 1, last_at = excluded.last_at
"""
_SET_BACK = """
    UPDATE login_attempt SET last_at = ?
    WHERE name IN (SELECT value FROM json_each(?)) AND last_at > ?
"""
_KNOW = """
    INSERT INTO login_attempt VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET
    last_at = excluded.last_at
"""
_FORGET_LEAST = """
    DELETE FROM login_attempt WHERE name IN (
        SELECT name FROM login_attempt ORDER BY count, last_at LIMIT ?
    )
"""
_OF_ACCOUNT = """
    DELETE FROM login_attempt
    WHERE name = ? OR (name >= ? AND name < ?) OR (name >= ? AND name < ?)
"""

performs = DirectPerformers()


@performs(CountAttempt)
def count(connection: engine.Connection, operation: CountAttempt) -> float:
    """Count an attempt, unless it has to wait; return for how long it has to."""
    now = now_of(connection)
    account, address = operation.account, operation.address
    # In one question: while it is asked, all other changes of all nodes wait.
    known_name = _known(account, address)
    both = names_of(account, address, known=False) | names_of(account, address, known=True)
    counts = _failed(connection, known_name, *both)
    known = account is not None and known_name in counts
    names = names_of(account, address, known=known)
    # Who is known at an address is held up by nobody else, not by others there either.
    for name in list(names)[1:] if known else names:
        found = counts.get(name)
        if found is None or now - found[1] > FORGET_AFTER:
            continue
        # The clock was set back: nobody waits for longer than is said, however far that was.
        failed, last_at = found[0], min(found[1], now)
        if last_at < found[1]:
            connection.execute(_SET_BACK, (now, msgspec.json.encode([name]).decode(), now))
        if (wait := names[name].open_at(failed, last_at) - now) > 0:
            return wait
    if not names.keys() <= counts.keys():
        _make_room(connection, now)
    for name in names:
        if name in counts and now - counts[name][1] > FORGET_AFTER:
            connection.execute("DELETE FROM login_attempt WHERE name = ?", (name,))
        connection.execute(_COUNT_ONE, (name, 1, now))
    return 0.0


@performs(SettleAttempt)
def settle(connection: engine.Connection, operation: SettleAttempt) -> None:
    """Take an attempt back; one that succeeded forgets the failures that held its account up."""
    account, address = operation.account, operation.address
    known = account is not None and bool(_failed(connection, _known(account, address)))
    for name in names_of(account, address, known=known):
        if operation.succeeded and name.startswith("account "):
            connection.execute("DELETE FROM login_attempt WHERE name = ?", (name,))
            continue
        connection.execute("UPDATE login_attempt SET count = count - 1 WHERE name = ?", (name,))
        connection.execute("DELETE FROM login_attempt WHERE name = ? AND count <= 0", (name,))
    if operation.succeeded and account is not None:
        now = now_of(connection)
        if not known:
            _make_room(connection, now)
        connection.execute(_KNOW, (_known(account, address), _KNOWN_COUNT, now))


@performs(ForgetAttempts)
def forget(connection: engine.Connection, operation: ForgetAttempts) -> None:
    """Forget an account's failures, and where it is known."""
    own, known = f"account {operation.account} from", f"known {operation.account} from"
    # After a blank comes an exclamation mark.
    values = (f"account {operation.account}", f"{own} ", f"{own}!", f"{known} ", f"{known}!")
    connection.execute(_OF_ACCOUNT, values)


def _known(account: str | None, address: str) -> str:
    return f"known {account} from {address}"


def _failed(connection: engine.Connection, *names: str) -> dict[str, tuple[int, float]]:
    """Return how many attempts have failed under names, and when the last one did."""
    rows = connection.execute(_SELECT, (msgspec.json.encode(names).decode(),))
    return {str(name): (int(count), float(last_at)) for name, count, last_at in rows}


def _make_room(connection: engine.Connection, now: float) -> None:
    (rows,) = connection.execute("SELECT count(*) FROM login_attempt").fetchone()
    if rows < MAX_ROWS:
        return
    connection.execute(
        "DELETE FROM login_attempt WHERE last_at < ? AND (count < ? OR last_at < ?)",
        (now - FORGET_AFTER, _KNOWN_COUNT, now - KNOWN_SECONDS),
    )
    (rows,) = connection.execute("SELECT count(*) FROM login_attempt").fetchone()
    if rows >= MAX_ROWS:
        connection.execute(_FORGET_LEAST, (MAX_ROWS // 8,))
