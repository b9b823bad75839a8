"""Which host ids functions get, and that nobody else has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from casemate.cli.commands import serve
from casemate.model.errors import ProtectionMissingError
from casemate.sandbox.identities import IdRange
from casemate.supervisor import function_ids as module
from casemate.supervisor.function_ids import (
    DEFAULT_COUNT,
    DEFAULT_START,
    collisions,
    function_ids,
    parse_range,
    root_range,
    subordinate_range,
)

RANGE = IdRange(1_000_000, 1_000_000, 65_536)


def tables(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("text", ["2100000000:65536", "65536:16", "2147483632:16"])
def test_a_range_is_a_start_and_a_count(text: str) -> None:
    start, count = map(int, text.split(":"))
    assert parse_range(text) == IdRange(start, start, count)


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "1", "70000", "70000:", ":16", "70000:x", "-1:16", "70000:-16", "70000:16:1",
        "65535:16", "0:65536", "70000:15", "2147483633:16", "2147483648:16", "70000:9999999999",
        "\u0667\u06670000:16", "70000: 16", "99999999999999999999:16",
    ],
)  # fmt: skip
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ProtectionMissingError, match="range") as refused:
        parse_range(text)
    assert "--function-ids" in str(refused.value.next_step)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("passwd", "eve:x:1000000:100::/:/bin/sh"),
        ("passwd", "eve:x:1065535:100::/:/bin/sh"),
        ("group", "eve:x:1000001:"),
        ("subuid", "eve:1000000:1"),
        ("subuid", "eve:900000:100001"),
        ("subgid", "eve:1065535:65536"),
        ("subgid", "eve:1:2000000000"),
    ],
)
def test_ids_that_others_have_are_found(tmp_path: Path, table: str, line: str) -> None:
    etc = tables(tmp_path, **{table: f"# ids\nroot:x:0:0::/root:/bin/sh\n{line}\n"})
    assert collisions(RANGE, etc) == [f"eve in {tmp_path / table}"]


def test_ids_beside_the_range_and_lines_that_are_none_do_not_matter(tmp_path: Path) -> None:
    etc = tables(
        tmp_path,
        passwd="a:x:999999:1:::\nb:x:1065536:1:::\nc:x\n\nd:x:y:1:::\n+::::::\n",
        subuid="a:900000:100000\nb:1065536:65536\nc:1000000\nd:x:y\ne\n",
    )
    assert collisions(RANGE, etc) == []


def test_the_default_is_free_here_and_what_the_help_says() -> None:
    if os.geteuid() == 0:
        assert root_range(None) == IdRange(DEFAULT_START, DEFAULT_START, DEFAULT_COUNT)
    [option] = serve.FunctionIdsOption.__metadata__
    assert f"{DEFAULT_START}:{DEFAULT_COUNT}" in option.help


def test_ids_that_this_namespace_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_mapped", lambda kind, start, count: kind == "uid")
    with pytest.raises(ProtectionMissingError, match="user namespace") as refused:
        root_range(None)
    assert "--accept-risk shared-uid" in str(refused.value.next_step)


def test_ids_in_use_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "collisions", lambda ids: ["eve in /etc/passwd"])
    with pytest.raises(ProtectionMissingError, match="eve in /etc/passwd"):
        root_range(None)


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 54321)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


@pytest.mark.usefixtures("user")
def test_an_ordinary_user_has_subordinate_ids(tmp_path: Path) -> None:
    etc = tables(
        tmp_path,
        subuid="other:1:65536\n54321:100:5\n54321:300000:65536\n54321:200000:4096\n",
        subgid="54321:400000:8192\n",
    )
    assert subordinate_range(etc) == IdRange(300_000, 400_000, 8192)


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    ("subuid", "subgid"),
    [
        ("", ""),
        ("54321:300000:65536\n", ""),
        ("", "54321:300000:65536\n"),
        ("54321:300000:4095\n", "54321:300000:65536\n"),
        ("54321:0:65536\n", "54321:300000:65536\n"),
        ("54321:2147483000:65536\n", "54321:300000:65536\n"),
        ("5432:300000:65536\n", "543210:300000:65536\n"),
    ],
)
def test_without_subordinate_ids_it_is_said_what_to_do(
    tmp_path: Path, subuid: str, subgid: str
) -> None:
    etc = tables(tmp_path, subuid=subuid, subgid=subgid)
    with pytest.raises(ProtectionMissingError, match="no subordinate ids") as refused:
        subordinate_range(etc)
    assert "usermod --add-subuids" in str(refused.value.next_step)
    assert "--accept-risk shared-uid" in str(refused.value.next_step)


@pytest.mark.usefixtures("user")
def test_the_ids_that_are_proposed_are_nobodys(tmp_path: Path) -> None:
    etc = tables(
        tmp_path,
        passwd="eve:x:280000:1:::\n",
        subuid="bob:165536:65536\nada:100000:65536\n",
        subgid="ada:100000:65536\nbob:231072:1000\n",
    )
    with pytest.raises(ProtectionMissingError, match="no subordinate ids") as refused:
        subordinate_range(etc)
    ids = "280001-345536"
    wanted = f"usermod --add-subuids {ids} --add-subgids {ids} 54321;"
    assert wanted in str(refused.value.next_step)


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("table", ["subuid", "subgid"])
def test_subordinate_ids_that_another_user_has_as_well_are_refused(
    tmp_path: Path, table: str
) -> None:
    own = "54321:100000:65536\n"
    both = {"subuid": own, "subgid": own, table: f"eve:165535:65536\n{own}"}
    etc = tables(tmp_path, passwd="eve:x:100001:1:::\n", **both)
    with pytest.raises(ProtectionMissingError, match=f"alone: eve in .*/{table}") as refused:
        subordinate_range(etc)
    assert "--add-subuids 231071-296606" in str(refused.value.next_step)
    assert "--accept-risk shared-uid" in str(refused.value.next_step)


def test_without_the_helpers_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ProtectionMissingError, match="newuidmap and newgidmap") as refused:
        subordinate_range(tmp_path)
    assert "apt-get install uidmap" in str(refused.value.next_step)


@pytest.mark.usefixtures("user")
def test_an_ordinary_user_chooses_no_range() -> None:
    with pytest.raises(ProtectionMissingError, match="subordinate ids of that user"):
        function_ids("2100000000:65536")


def test_in_a_user_namespace_of_its_own_a_range_may_lie_lower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container has 65,536 ids, as a rule: they end where the host's usual ranges begin."""
    monkeypatch.setattr(module, "collisions", lambda ids: [])
    monkeypatch.setattr(module, "_mapped", lambda *_: True)
    monkeypatch.setattr(module, "_is_nested", lambda: True)
    assert root_range("4096:32768") == IdRange(4096, 4096, 32_768)
    with pytest.raises(ProtectionMissingError, match="starts outside of 1000"):
        root_range("999:4096")
    monkeypatch.setattr(module, "_is_nested", lambda: False)
    with pytest.raises(ProtectionMissingError, match="starts outside of 65536"):
        root_range("4096:32768")


@pytest.mark.parametrize(
    "text", ["64800:16", "64785:16", "64807:16", "64808:16", "1000:64000", "64801:1000"]
)
def test_a_range_never_holds_the_nodes_own_ids(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(module, "_is_nested", lambda: True)
    with pytest.raises(ProtectionMissingError, match="the node's own"):
        root_range(text)
    assert parse_range("64784:16", 1000).count == 16
    assert parse_range("64809:16", 1000).uid == 64_809
