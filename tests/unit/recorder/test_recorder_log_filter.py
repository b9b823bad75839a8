"""The recorder gives the lines that `LineFilter.wants`, and looks at no more than it says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_samples import KEY, Filled, invocation, line
from records_samples import lines as kept_lines

from casemate.model.log_filter import LineFilter, LogLevel
from casemate.operations.records import ReadLogs
from casemate.recorder.records import search
from casemate.recorder.records.database import RecordsDatabase

_TEXTS = st.text(alphabet="aAbB\u00fc\u00dc%_\\' \0", max_size=6)
_VALUES = st.sampled_from([1, 12, "1", True, None, 0.5, "a", "\u00fc\\", 'a"', "", [1]])
_LOGGED = st.builds(
    lambda text, fields: f"{text} {json.dumps(fields, ensure_ascii=False)}",
    _TEXTS,
    st.dictionaries(st.sampled_from(["a", "aA", "\u00fc", "b c"]), _VALUES, max_size=3),
)
_FIELDS = st.builds(
    "{}={}".format,
    st.sampled_from(["a", "aA", "\u00fc", "b c", "none"]),
    st.sampled_from(["1", "12", "true", "null", "0.5", "a", "\u00fc\\", 'a"', "", "="]),
)
_LINES = st.lists(
    st.builds(
        line,
        text=_TEXTS | _LOGGED,
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
    field=st.none() | _FIELDS,
    version=st.none() | st.integers(1, 3),
)


@settings(max_examples=60, deadline=None)
@given(lines=_LINES, only=_FILTERS, after=st.integers(0, 4), limit=st.integers(1, 5))
def test_it_is_the_same_filter(tmp_path_factory, lines, only, after, limit) -> None:
    async def run() -> None:
        records = RecordsDatabase.open(tmp_path_factory.mktemp("r") / "r", KEY)
        await Filled(records).record(invocation(), log=lines)
        everything = await kept_lines(records)
        wanted = [one for one in everything if one.sequence > after and only.wants(one)]
        asked = ReadLogs(
            after=after,
            limit=limit,
            since=only.since,
            level=only.level,
            search=only.search,
            field=only.field,
            version=only.version or 0,
        )
        assert asked.only == only
        found = (await records.page(asked, None)).rows
        assert found == (wanted[:limit] if after else wanted[::-1][:limit])
        records.close()

    asyncio.run(run())


def test_the_newest_lines_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_LINES_SEARCHED", 3)
    monkeypatch.setattr(search, "BLOCK_LINES", 1)

    async def run() -> None:
        records = RecordsDatabase.open(tmp_path / "r", KEY)
        await Filled(records).record(invocation(), log=[line(f"x {n}") for n in range(5)])
        found = await kept_lines(records, search="x")
        assert [one.text for one in found] == ["x 2", "x 3", "x 4"]
        assert await kept_lines(records, search="1") == []
        assert len(await kept_lines(records)) == 5
        records.close()

    asyncio.run(run())
