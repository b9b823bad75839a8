"""What a node is started with, and where it keeps its data."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.model.errors import (
    InvalidInputError,
    ProtectionMissingError,
    UnavailableError,
)
from casemate.model.processes import EGRESS_UID, GATEWAY_UID, SANDBOX_UID, VAULT_UID
from casemate.supervisor.host import listen, offered_interpreters
from casemate.supervisor.options import RISKS, ServeOptions


def options(*risks: str) -> ServeOptions:
    return ServeOptions(data=Path("d"), host="127.0.0.1", port=0, accepted_risks=risks)


@pytest.mark.parametrize(("hard", "given"), [(20_000, 20_000), (1 << 20, 65_536), (-1, 65_536)])
def test_no_process_is_promised_more_open_files_than_the_node_may_have(
    hard: int, given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy that asked for more was answered: the zygote is gone."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (hard, hard))
    assert options().caps(1 << 33).open_files == given


def test_no_risk_is_accepted_unless_it_is_named() -> None:
    assert options().accepted_risks == ()
    for risk in RISKS:
        assert options(risk).accepted_risks == (risk,)


@pytest.mark.parametrize(
    "risk",
    ["", "all", "seccomp", "user namespaces", "Cgroups", "cgroups ", "landlock,cgroups", "*"],
)
def test_a_risk_that_nobody_can_accept_is_refused(risk: str) -> None:
    with pytest.raises(ProtectionMissingError) as refused:
        options("cgroups", risk)
    assert repr(risk) in refused.value.message
    assert all(known in refused.value.message for known in RISKS)
    assert refused.value.next_step


def test_seccomp_and_user_namespaces_are_no_choice() -> None:
    assert set(RISKS) == {
        *("cgroups", "landlock", "plaintext", "shared-uid", "shared-files"),
        *("clear-disks", "unproved-store"),
    }


@pytest.mark.parametrize(
    "text",
    [
        *("", "example.org", "203.0.113.7:80", "203.0.113.0/24", "1.2.3"),
        *("0.0.0.0", "::", "224.0.0.1", "2001:db8::7%eth0"),
    ],
)
def test_what_is_not_an_address_is_not_one_of_this_host(text: str) -> None:
    with pytest.raises(InvalidInputError, match="not an address of this host") as refused:
        ServeOptions(data=Path("d"), host="127.0.0.1", port=0, own_addresses=(text,))
    assert "203.0.113.7" in refused.value.next_step


# -- where it listens ----------------------------------------------------------------------------


def test_the_processes_of_a_node_are_different_users() -> None:
    uids = (GATEWAY_UID, SANDBOX_UID, VAULT_UID, EGRESS_UID)
    assert len(set(uids)) == 4 and min(uids) > 60_000


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=str(port)) as refused:
            listen("127.0.0.1", port)
    assert "--port" in (refused.value.next_step or "")


def test_a_host_that_is_none_is_named() -> None:
    with pytest.raises(UnavailableError, match="no such host"):
        listen("no such host", 0)


def test_an_interpreter_that_is_not_here_is_named() -> None:
    with pytest.raises(ProtectionMissingError, match=r"3\.99"):
        offered_interpreters(("3.99",))


def test_the_interpreters_offered_are_those_wanted() -> None:
    everything = offered_interpreters(())
    one = everything[0].minor
    assert [i.minor for i in offered_interpreters((one,))] == [one]


def test_the_supervisor_loads_nothing_that_speaks_to_clients() -> None:
    """It starts fast that way, and parses nothing that comes from outside."""
    code = (
        "import sys, casemate.supervisor.serve\n"
        "print(sorted({'casemate.api', 'casemate.accounts', 'httpx2', 'starlette', 'httptools'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
