"""What `serve`, `dev` and `doctor` hand over, and what they refuse before anything starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from casemate.host_support.standing import Standing, State
from casemate.maintenance.doctor import Finding


@pytest.fixture
def served(monkeypatch):
    """The options that `serve` was started with, instead of a node."""
    calls = []
    monkeypatch.setattr("casemate.cli.serving.become_supervisor", calls.append)
    return calls


def test_serve(cli, served) -> None:
    given = ("--data", "d", "--port", "0", "--accept-risk", "landlock", "--python", "3.12")
    assert cli("serve", *given, "--json").code == 0
    options = served[0]
    assert (options.data, options.host, options.port) == (Path("d"), "127.0.0.1", 0)
    assert (options.accepted_risks, options.pythons) == (("landlock",), ("3.12",))
    assert options.json is True
    assert cli("serve", "--port", "70000").code == 2


def test_an_empty_folder_is_not_this_one(cli, served) -> None:
    """`--data "$UNSET"` would make the working directory a node's, and private."""
    result = cli("serve", "--data", "")
    assert result.code == 2
    assert "--data is empty" in result.err


def test_a_risk_that_nobody_can_accept_is_refused(cli, served) -> None:
    result = cli("serve", "--accept-risk", "seccomp")
    assert result.code == 1
    assert "cgroups, clear-disks, landlock" in result.err
    assert "Next:" in result.err
    assert served == []


@pytest.mark.parametrize(
    ("uid", "environ", "expected"),
    [
        (0, {}, "/var/lib/casemate"),
        (1000, {"XDG_DATA_HOME": "/data"}, "/data/casemate"),
        (1000, {"XDG_DATA_HOME": "relative"}, "~/.local/share/casemate"),
    ],
)
def test_where_data_goes(cli, served, monkeypatch, uid, environ, expected) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    cli("serve")
    assert served[0].data == Path(expected).expanduser()


def test_dev_needs_a_project(cli) -> None:
    assert cli("dev").code == 2


@pytest.fixture(autouse=True)
def supported(monkeypatch) -> list[Standing]:
    """What doctor says of the host's support: asking the package manager takes seconds."""
    told = [
        Standing(name="kernel", state=State.GOOD, detail="5.10 until 2026-12-31"),
        Standing(name="restart", state=State.SOON, detail="it waits", next_step="reboot"),
    ]
    monkeypatch.setattr("casemate.host_support.standing.support", lambda today: told)
    # Holes of what this host has: its own tests are in tests/unit/maintenance.
    holes = "casemate.maintenance.own_components.component_standings"
    monkeypatch.setattr(holes, lambda today: [])
    return told


def test_doctor_tells_of_support_and_does_not_fail_for_it(cli, monkeypatch) -> None:
    monkeypatch.setattr("casemate.maintenance.doctor.examine", lambda ids: [])
    monkeypatch.setenv("CASEMATE_ADVISORIES", "/nonexistent")
    result = cli("doctor", "--json")
    assert result.code == 0
    told = {one["name"]: one["state"] for one in json.loads(result.out)["support"]}
    assert told == {"kernel": "good", "restart": "soon", "casemate's packages": "unknown"}
    shown = cli("doctor").out
    assert "`casemate vault status`" in shown and "`casemate audit node`" in shown
    assert "5.10 until 2026-12-31" in shown
    assert "Next, for restart: reboot" in shown


def test_doctor_is_told_the_ids_that_the_node_gets(cli, monkeypatch) -> None:
    asked: list[str | None] = []

    def examine(ids: str | None) -> list[object]:
        asked.append(ids)
        return []

    monkeypatch.setattr("casemate.maintenance.doctor.examine", examine)
    monkeypatch.setenv("CASEMATE_ADVISORIES", "/nonexistent")
    assert cli("doctor", "--function-ids", "4096:32768", "--json").code == 0
    assert asked == ["4096:32768"]


def test_doctor_tells_known_holes_and_does_not_fail_for_them(cli, monkeypatch) -> None:
    hole = Standing(name="vulnerabilities of OpenSSL in x", state=State.OPEN, detail="3.6.0 has 37")
    monkeypatch.setattr("casemate.maintenance.doctor.examine", lambda ids: [])
    holes = "casemate.maintenance.own_components.component_standings"
    monkeypatch.setattr(holes, lambda today: [hole])
    result = cli("doctor")
    assert result.code == 0 and "3.6.0 has 37" in result.out


@pytest.mark.parametrize("holds", [True, False])
def test_doctor_ends_with_what_it_found(cli, monkeypatch, holds) -> None:
    finding = Finding(name="cgroups", holds=holds, detail="tried", next_step="do this")
    monkeypatch.setattr("casemate.maintenance.doctor.examine", lambda ids: [finding])
    result = cli("doctor", "--json")
    assert result.code == (0 if holds else 1)
    assert json.loads(result.out)["ok"] is holds
    shown = cli("doctor")
    assert shown.code == (0 if holds else 1)
    assert ("Next: do this" in shown.out) is not holds
    verdict = (
        "1 of 1 protections are in place; `casemate serve` will start."
        if holds
        else "0 of 1 protections are in place; `casemate serve` will refuse to start because of "
        "cgroups."
    )
    assert verdict in shown.out
    assert ("protection: --accept-risk cgroups" in shown.out) is not holds


def test_doctor_says_what_may_be_missing_and_what_cannot_be_given_up(cli, monkeypatch) -> None:
    def finding(name: str, **how: bool) -> Finding:
        return Finding(name=name, holds=False, detail="tried", **how)

    found = [finding("restoring", required=False)]
    monkeypatch.setattr("casemate.maintenance.doctor.examine", lambda ids: found)
    shown = cli("doctor")
    assert shown.code == 0
    assert "`casemate serve` will start, without restoring." in shown.out
    found += [finding("own user ids"), finding("open files")]
    shown = cli("doctor")
    assert shown.code == 1
    assert "because of own user ids and open files." in shown.out
    assert "--accept-risk" not in shown.out, "open files are no risk that can be accepted"


def test_doctor_names_the_urgent_first(cli, monkeypatch, supported) -> None:
    open_one = Standing(name="python", state=State.OPEN, detail="holes", next_step="renew")
    monkeypatch.setattr("casemate.maintenance.doctor.examine", lambda ids: [])
    monkeypatch.setattr(
        "casemate.maintenance.own_components.component_standings", lambda today: [open_one]
    )
    shown = cli("doctor").out
    assert shown.index("Next, for python: renew") < shown.index("Next, for restart: reboot")


def test_caps_are_sizes_and_a_number(cli, served) -> None:
    assert (
        cli("serve", "--max-memory", "4GB", "--max-tmp", "64MB", "--max-instances", "9").code == 0
    )
    bounds = served[0].bounds
    assert (bounds.memory, bounds.tmp, bounds.instances) == (4 << 30, 64 << 20, 9)
    assert cli("serve", "--resting-memory", "2GB").code == 0
    assert (bounds.resting, served[1].bounds.resting) == (None, 2 << 30)
    for wrong in ("4", "lots", "0MB", "-1GB"):
        result = cli("serve", "--max-memory", wrong)
        assert result.code == 2
        assert "expected a size such as 512MB" in result.err


def test_the_most_of_what_is_kept_ready_can_be_none(cli, served) -> None:
    assert cli("serve", "--max-warm", "0").code == 0
    assert served[0].caps(8 << 30).warm == 0
    assert cli("serve", "--max-warm", "-1").code == 2
    assert cli("serve").code == 0
    assert served[1].caps(8 << 30).warm == 64


def test_doctor_tells_the_versions_of_c_libraries(cli, monkeypatch) -> None:
    monkeypatch.setattr("casemate.maintenance.doctor.examine", lambda ids: [])
    found = json.loads(cli("doctor", "--json").out)["libraries"]
    assert {"OpenSSL", "SQLite", "SQLCipher", "libuv", "llhttp"} <= {one["name"] for one in found}
    shown = cli("doctor").out
    assert all(one["version"] in shown for one in found if one["version"])
    assert "does not say" in shown
