"""People are told by webhook, mail and syslog: at night, after a while, and not if it is taken."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.cli import casemate
from support.egress import TestAuthority
from support.monitor import MailServer, Receiver, SyslogServer
from support.node import TestNode

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(900)]
CODE = """
import ctypes, sqlite3
libc = ctypes.CDLL(None, use_errno=True)
def handler(event, context):
    if event.get("escape"):
        libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)
    with sqlite3.connect(":memory:") as database:
        return database.execute(f"SELECT '{event.get('name', '')}'").fetchall()
"""
AFTER = 90.0
"""How long the second one waits for somebody to take it."""
SETTINGS = """
[alerts.first]
kind = "webhook"
url = "http://127.0.0.1:{hook}/hook"
secret = "ops/alert-key"
level = "low"
accept = ["private", "plaintext"]
[alerts.second]
kind = "mail"
server = "127.0.0.1:{mail}"
sender = "node@example.org"
to = ["ada@example.org"]
ca = "authority.pem"
level = "low"
after = "{after:.0f}s"
accept = ["private"]
[alerts.asleep]
kind = "syslog"
server = "127.0.0.1:{syslog}"
ca = "authority.pem"
level = "low"
quiet = "{quiet}"
accept = ["private"]
"""


class Contacts:
    """A node, and whom it tells."""

    def __init__(self, folder: Path) -> None:
        authority = TestAuthority()
        (folder / "authority.pem").write_bytes(authority.path.read_bytes())
        self.hook = Receiver().__enter__()
        self.mail = MailServer(authority.context("127.0.0.1"))
        self.syslog = SyslogServer(authority.context("127.0.0.1"))
        now = datetime.now(UTC)
        hours = [(now + timedelta(hours=each)).strftime("%H:%M") for each in (-1, 2)]
        settings = SETTINGS.format(
            hook=self.hook.port,
            mail=self.mail.port,
            syslog=self.syslog.port,
            after=AFTER,
            quiet="-".join(hours),
        )
        (folder / "node.toml").write_text(settings)
        self.node = TestNode(folder / "data", "--config", str(folder / "node.toml")).start()
        key = casemate(self.node, "secrets", "set", "ops/alert-key", stdin="a long, random text")
        assert key.returncode == 0, key.stderr

    def close(self) -> None:
        self.node.close()
        self.mail.close()
        self.syslog.close()
        self.hook.__exit__(None, None, None)

    def by_hook(self, name: str) -> list[str]:
        """Return the rules of which the first one was told, about a function."""
        with self.hook.lock:
            bodies = [json.loads(body) for _, _, body in self.hook.requests]
        found = [one for body in bodies for one in body["findings"]]
        return [one["rule"] for one in found if f"t/{name}" in one["entity"]]

    def by_mail(self, name: str) -> int:
        return sum(f"t/{name}".encode() in data for _, _, data in self.mail.mails)

    def by_syslog(self, name: str) -> int:
        return sum(f"t/{name}".encode() in line for line in self.syslog.lines)

    def incident(self, name: str) -> str:
        def of_it() -> list[str]:
            found = self.node.get("/incidents")["incidents"]
            return [each["id"] for each in found if f"function:t/{name}" in each["things"]]

        self.node.wait_until(of_it, 30)
        return of_it()[0]


@pytest.fixture(scope="module")
def contacts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contacts]:
    found = Contacts(tmp_path_factory.mktemp("contacts"))
    for name in ("quiet", "taken", "grave"):
        found.node.deploy(CODE, name=name)
    yield found
    found.close()


def attack(contacts: Contacts, name: str) -> float:
    """Have an attack found that is not critical; return when."""
    answer = contacts.node.invoke({"name": "x' OR '1'='1"}, function=f"t/{name}")
    assert answer.status_code == 500
    contacts.node.wait_until(lambda: "sql-injection" in contacts.by_hook(name), 60)
    return time.monotonic()


def test_what_nobody_takes_reaches_the_second_and_wakes_nobody(contacts: Contacts) -> None:
    at = attack(contacts, "quiet")
    while time.monotonic() - at < AFTER / 2:
        assert not contacts.by_mail("quiet")
        time.sleep(0.5)
    contacts.node.wait_until(lambda: contacts.by_mail("quiet"), AFTER + 30)
    assert time.monotonic() - at > AFTER * 0.8
    assert not contacts.by_syslog("quiet")


def test_what_is_taken_reaches_nobody_else(contacts: Contacts) -> None:
    at = attack(contacts, "taken")
    taken = casemate(
        contacts.node, "incident", "assign", contacts.incident("taken"), "ada", "--outside"
    )
    assert taken.returncode == 0, taken.stderr
    # Also over a kill of all: what waits is remembered, and that it is taken stands in the journal.
    contacts.node.stop(9)
    contacts.node.start()
    assert time.monotonic() - at < AFTER
    time.sleep(AFTER + 20)
    # At night that it was deployed then is found as well.
    assert not contacts.by_mail("taken")
    assert contacts.by_hook("taken").count("sql-injection") == 1


def test_what_is_critical_wakes_everybody(contacts: Contacts) -> None:
    assert contacts.node.invoke({"escape": True}, function="t/grave").status_code == 200
    contacts.node.wait_until(lambda: contacts.by_syslog("grave"), 30)
    assert "mount-tried" in contacts.by_hook("grave")
    listed = json.loads(casemate(contacts.node, "alert", "ls", "--json").stdout)
    assert not any(one["problem"] for one in listed["channels"]), listed
