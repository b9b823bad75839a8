"""What commands send from files and standard input is read in one way, and bounded."""

from __future__ import annotations

import pytest

from casemate.cli.commands import invoke as invoke_module

FIRE = ("trigger", "fire", "shop/cart", "bucket-1", "--data")


@pytest.mark.parametrize(
    "arguments",
    [
        (*FIRE, "@gone.json"),
        ("invoke", "shop/cart", "--file", "gone.json"),
        ("secrets", "import", "shop", "gone.json"),
        ("buckets", "put", "shop/files", "a", "gone.json"),
        ("tables", "put", "shop/users", "gone.json"),
        ("queues", "send", "shop/jobs", "gone.json"),
    ],
)
def test_a_file_that_is_not_there_is_wrong_use_everywhere(cli, node, arguments) -> None:
    result = cli(*arguments)
    assert result.code == 2
    assert "gone.json cannot be read: No such file or directory." in result.err
    assert "Next: Name a file you can read." in result.err
    assert not node.requests


def test_an_event_is_read_no_further_than_a_function_takes(cli, node, home, monkeypatch) -> None:
    monkeypatch.setattr(invoke_module, "MAX_EVENT_BYTES", 8)
    (home / "event.json").write_text('{"a": 1}')
    assert cli("invoke", "shop/cart", "--file", "event.json").code == 0
    (home / "event.json").write_text('{"a": 12}')
    before = len(node.requests)
    for arguments, place in ((("--file", "event.json"), "event.json"), (("-",), "standard input")):
        result = cli("invoke", "shop/cart", *arguments, stdin=b'{"a": 12}')
        assert result.code == 2
        assert f"The event in {place} has more than 8 B" in result.err
    assert len(node.requests) == before


def test_an_empty_file_is_no_event(cli, node, home) -> None:
    (home / "event.json").write_bytes(b"")
    assert cli("invoke", "shop/cart", "--file", "event.json").code == 2
    assert not node.requests


def test_data_of_a_trigger_comes_from_standard_input(cli, node) -> None:
    result = cli(*FIRE, "-", stdin=b"no JSON")
    assert result.code == 2 and "--data is no JSON" in result.err
    assert not node.requests
