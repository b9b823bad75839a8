"""A pooler that hands one session to several connections is refused; one that does not is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hostile_server import FIT, fit, hostile
from postgresql_samples import SCHEMA

from casemate.postgresql import driver, session
from casemate.postgresql.errors import UnfitServerError, UnreachableError
from casemate.postgresql.pooling import require_own_session
from casemate.postgresql.settings import Settings


class Pooler:
    """Real sessions, handed to whoever asks, the one that came back last first."""

    def __init__(self, url: str, *, by: str, taken: int = 0) -> None:
        self._settings = Settings.of_url(url)
        self.by = by
        self.taken = taken
        """How often another client is handed a session just after it came back."""
        self.free: list[driver.Connection] = []
        self.made: list[driver.Connection] = []

    def session(self) -> driver.Connection:
        if self.free:
            return self.free.pop()
        self.made.append(driver.connect(self._settings.parameters(self._settings.hosts[0])))
        return self.made[-1]

    def came_back(self, one: driver.Connection) -> None:
        self.free.append(one)
        if self.taken > 0:
            self.taken -= 1
            self.free.insert(0, self.free.pop())
            if len(self.free) == 1:
                self.free.append(self.session_of_another())

    def session_of_another(self) -> driver.Connection:
        self.made.append(driver.connect(self._settings.parameters(self._settings.hosts[0])))
        return self.made[-1]

    def client(self) -> Client:
        return Client(self)


class Client:
    answer_seconds: float | None = None

    def __init__(self, pooler: Pooler) -> None:
        self._pooler = pooler
        self._held: driver.Connection | None = None

    def execute(self, query: bytes, /) -> Any:
        if self._pooler.by == "statement" and query == b"BEGIN":
            raise driver.Error("transaction blocks not allowed in statement pooling mode")
        held = self._held or self._pooler.session()
        answer = held.execute(query)
        ended = held.info.transaction_status == 0
        self._held = None if ended and self._pooler.by != "session" else held
        if self._held is None:
            self._pooler.came_back(held)
        return answer

    def close(self) -> None:
        if self._held is not None:
            self._pooler.free.append(self._held)


@pytest.fixture
def pooler(url: str) -> Any:
    made: list[Pooler] = []

    def make(**how: Any) -> Pooler:
        made.append(Pooler(url, **how))
        return made[-1]

    yield make
    for one in made:
        for connection in one.made:
            connection.close()


@pytest.mark.parametrize("how", [{"by": "transaction"}, {"by": "statement"}])
@pytest.mark.parametrize("taken", [0, 1, 2, 3])
def test_one_that_shares_sessions_is_refused(
    pooler: Callable[..., Pooler], how: dict[str, str], taken: int
) -> None:
    one = pooler(**how, taken=taken)
    with pytest.raises(UnfitServerError, match="shares connections between transactions"):
        require_own_session("h:1", one.client(), one.client, driver.Error)


def test_one_that_keeps_sessions_apart_is_used(pooler: Callable[..., Pooler]) -> None:
    one = pooler(by="session")
    require_own_session("h:1", one.client(), one.client, driver.Error)
    assert len(one.made) == 2


def test_one_that_has_no_second_session_is_told(pooler: Callable[..., Pooler]) -> None:
    def none() -> Client:
        raise driver.Error("query_wait_timeout")

    with pytest.raises(UnreachableError, match="gives no second connection"):
        require_own_session("h:1", pooler(by="session").client(), none, driver.Error)


def test_whoever_is_asked_directly_is_not_asked_twice(url: str) -> None:
    found = session.connected(Settings.of_url(url), SCHEMA)
    assert found.server.execute("SELECT pg_backend_pid()").fetchone() == (
        found.server.info.backend_pid,
    )
    found.server.close()


def test_a_session_of_another_number_is_looked_at() -> None:
    """The number that a connection is told at first is the pooler's, of the session another's."""
    with hostile(is_what=fit((*FIT[:9], b"4711", FIT[10]))) as server:
        with pytest.raises(UnreachableError):
            session.connected(Settings.of_url(server.url), SCHEMA).server.close()
        assert server.connections == 2
