"""What is sent and handed out costs few ways to the server, and no reading of what else waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from data_support import end_of, shared

from casemate.data import Fate, NewMessage, Subscription
from casemate.postgresql.exchange import Exchanges
from support.database import Server

INBOX = ("p", "inbox", "f")
LEASED = 16
_READ = (
    "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables "
    "WHERE schemaname = 'p_p' AND relname = 'message'"
)


@pytest.mark.parametrize("analysed", ["never", "when it was empty"])
def test_a_lease_reads_what_it_hands_out(
    tmp_path: Path, postgresql_server: Server, analysed: str
) -> None:
    data = shared(postgresql_server, tmp_path / "shared")
    try:
        data.subscribe("p", [Subscription(function="f")])
        connection: Any = data.opened().writer.connection

        def rows_read() -> int:
            connection.define("SELECT pg_stat_force_next_flush()")
            ((found,),) = connection.execute(_READ).fetchall()
            return int(found)

        def handled() -> int:
            before = rows_read()
            leased = data.lease(*INBOX, LEASED, 60.0)
            data.settle(*INBOX, [end_of(message, Fate.DONE) for message in leased])
            assert len(leased) == LEASED
            return rows_read() - before

        def wait(number: int, **fields: Any) -> None:
            data.send_many(*INBOX, [NewMessage(body=b"{}", **fields)] * number)

        if analysed != "never":
            connection.define("ANALYZE message")
        for _ in range(8):  # so that the server's plans are made, and kept
            wait(LEASED)
            handled()
        for number in range(3):
            wait(1000)
            wait(1000, key=f"k{number}")
        # The lease, its hold, the end and the deletion; and what dead rows an index still leads to.
        assert max(handled() for _ in range(3)) <= 8 * LEASED
    finally:
        data.finish()


def test_what_is_kept_for_callers_goes_there_and_back_three_times(
    tmp_path: Path, postgresql_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beginning, all the rest (what waits for them is asked along with it), the commit."""
    data = shared(postgresql_server, tmp_path / "shared")
    try:
        data.subscribe("p", [Subscription(function="f")])
        new = [NewMessage(body=b"{}", caller=f"token:{number % 2}") for number in range(8)]
        for _ in range(2):  # so that it is known how many numbers are needed
            data.send_many(*INBOX, new)
        sent: list[int] = []
        send = Exchanges.send

        def counted(self: Exchanges, words: Any, statements: Any) -> Any:
            sent.append(len(statements))
            return send(self, words, statements)

        monkeypatch.setattr(Exchanges, "send", counted)
        data.send_many(*INBOX, new)
        assert len(sent) == 3
    finally:
        data.finish()
