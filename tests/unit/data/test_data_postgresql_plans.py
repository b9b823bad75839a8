"""What waits costs those nothing who lease, whatever the server last knew of how much it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from data_support import end_of, shared

from casemate.data import Fate, NewMessage, Subscription
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
