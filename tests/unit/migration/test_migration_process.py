"""Whatever a database holds, a move ends in words."""

from __future__ import annotations

import json

import msgspec
import pytest

from casemate.migration import process
from casemate.migration.process import MoveConfig
from casemate.model.errors import UnavailableError


@pytest.mark.parametrize("raised", [TypeError, ValueError, KeyError, OverflowError, RecursionError])
def test_what_no_node_has_written_is_told_and_no_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: type[Exception]
) -> None:
    """Such as NULL, where whoever runs the database has dropped the constraint."""

    async def run(_config: MoveConfig) -> None:
        raise raised("a row's content")

    config = MoveConfig(data="d", shown="d", back=True, vault=0, uid=None, unproved=False)
    monkeypatch.setattr(process, "_run", run)
    monkeypatch.setattr(process, "confine", lambda _uid: None)
    monkeypatch.setattr("sys.argv", ["move", msgspec.json.encode(config).decode()])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert process.main() == 1
    told, traced = capsys.readouterr()
    line = json.loads(told)
    assert f"no node has written ({raised.__name__})" in line["error"]
    assert "backup" in line["next_step"]
    assert "content" not in told + traced and "Traceback" not in traced


@pytest.mark.parametrize("raised", [BrokenPipeError(), UnavailableError("the vault is gone")])
def test_one_that_nobody_hears_any_more_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: Exception
) -> None:
    """Its command was killed, and the vault with it; before, it printed a trace."""

    async def run(_config: MoveConfig) -> None:
        raise raised

    def say(_line: object) -> None:
        raise BrokenPipeError

    config = MoveConfig(data="d", shown="d", back=True, vault=0, uid=None, unproved=False)
    monkeypatch.setattr(process, "_run", run)
    monkeypatch.setattr(process, "_say", say)
    monkeypatch.setattr(process, "confine", lambda _uid: None)
    monkeypatch.setattr("sys.argv", ["move", msgspec.json.encode(config).decode()])
    monkeypatch.setattr("signal.signal", lambda *_: None)
    assert process.main() == 1
    assert capsys.readouterr() == ("", "")
