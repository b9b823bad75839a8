"""The store gives the lines that `LineFilter.wants`, and looks at no more than it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_samples import KEY, invocation, line

from casemate.model.log_filter import LineFilter, LogLevel
from casemate.operations.records import ReadLogs
from casemate.store.sqlite import SqliteStore, records

_TEXTS = st.text(alphabet="aAbB\u00fc\u00dc%_\\' \0", max_size=6)
_LINES = st.lists(
    st.builds(
        line,
        text=_TEXTS,
        level=st.sampled_from(["debug", "stdout", "info", "warning", "error", "notice"]),
        version=st.integers(1, 3),
        at=st.sampled_from([1.0, 2.0, 3.0]),
    ),
    max_size=12,
)
_FILTERS = st.builds(
    LineFilter,
    since=st.none() | st.sampled_from([1.0, 2.0, 2.5, 4.0]),
    level=st.none() | st.sampled_from(LogLevel),
    search=st.none() | _TEXTS.filter(bool),
    version=st.none() | st.integers(1, 3),
)


@settings(max_examples=60, deadline=None)
@given(lines=_LINES, only=_FILTERS, after=st.integers(0, 4), limit=st.integers(1, 5))
def test_it_is_the_same_filter(tmp_path_factory, lines, only, after, limit) -> None:
    async def run() -> None:
        store = SqliteStore.open(tmp_path_factory.mktemp("s") / "s", key=KEY)
        store.record(invocation(), log=lines)
        await store.flush()
        everything = await store.read(ReadLogs())
        wanted = [one for one in everything if one.sequence > after and only.wants(one)]
        asked = ReadLogs(
            after=after,
            limit=limit,
            since=only.since,
            level=only.level,
            search=only.search,
            version=only.version or 0,
        )
        assert asked.only == only
        found = await store.read(asked)
        assert list(found) == (wanted[:limit] if after else wanted[-limit:])
        await store.close()

    asyncio.run(run())


def test_the_newest_lines_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_LINES_SEARCHED", 3)

    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        store.record(invocation(), log=[line(f"text {number}") for number in range(5)])
        await store.flush()
        found = await store.read(ReadLogs(search="text"))
        assert [one.text for one in found] == ["text 2", "text 3", "text 4"]
        assert await store.read(ReadLogs(search="text 1")) == ()
        assert len(await store.read(ReadLogs())) == 5
        await store.close()

    asyncio.run(run())
