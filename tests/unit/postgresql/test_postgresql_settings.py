"""What a URL may say, and that nothing ever shows the password in it."""

from __future__ import annotations

import pytest

from casemate.postgresql.errors import SettingsError
from casemate.postgresql.settings import Host, Settings

SECRET = "s3cret-4711"


def test_a_url_says_all_that_is_needed() -> None:
    found = Settings.of_url(
        f"postgresql://ada:{SECRET}%2F@db1.example:6432,[2001:db8::1],db3/control"
        "?sslrootcert=/etc/ca.pem"
    )
    assert found.hosts == (Host("db1.example", 6432), Host("2001:db8::1", 5432), Host("db3", 5432))
    assert (found.user, found.database, found.password) == ("ada", "control", f"{SECRET}/")
    assert found.parameters(found.hosts[0]) | {} == {
        **found.parameters(found.hosts[0]),
        "sslmode": "verify-full",
        "sslrootcert": "/etc/ca.pem",
        "require_auth": "scram-sha-256",
        "port": "6432",
    }
    assert SECRET not in repr(found)
    assert SECRET not in found.cleaned(f"no way: {SECRET}/")


def test_a_folder_of_a_socket_is_a_host() -> None:
    found = Settings.of_url("postgresql://ada@/control?host=/run/postgresql")
    assert found.hosts == (Host("/run/postgresql", 5432),)
    assert found.parameters(found.hosts[0])["require_auth"] == "none"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.1", "[::1]"])
def test_what_stays_on_the_machine_needs_no_tls(host: str) -> None:
    assert Settings.of_url(f"postgresql://a@{host}/d").sslmode == "disable"


def test_what_leaves_it_has_tls_that_proves_the_server_or_a_recorded_exception() -> None:
    assert Settings.of_url("postgresql://a@db/d").sslmode == "verify-full"
    proved = Settings.of_url("postgresql://a@db/d")
    assert proved.parameters(proved.hosts[0])["sslrootcert"] == "system"
    # One host that is not this machine is enough.
    assert Settings.of_url("postgresql://a@localhost,db/d").sslmode == "verify-full"
    for weak in ("disable", "require", "verify-ca"):
        with pytest.raises(SettingsError, match="does not prove"):
            Settings.of_url(f"postgresql://a@localhost,db/d?sslmode={weak}")
        accepted = Settings.of_url(f"postgresql://a@db/d?sslmode={weak}", weak_tls_accepted=True)
        assert accepted.sslmode == weak


@pytest.mark.parametrize("mode", ["prefer", "allow", "", "VERIFY-FULL", "verify-full "])
def test_modes_that_promise_nothing_are_none(mode: str) -> None:
    with pytest.raises(SettingsError):
        Settings.of_url(f"postgresql://a@localhost/d?sslmode={mode}", weak_tls_accepted=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://a@b/c",
        f"postgresql://{SECRET}",
        f"postgresql://:{SECRET}@db/d",
        f"postgresql://a:{SECRET}@db",
        f"postgresql://a:{SECRET}@db/",
        f"postgresql://a:{SECRET}@/d",
        f"postgresql://a:{SECRET}@db:0/d",
        f"postgresql://a:{SECRET}@db:99999/d",
        f"postgresql://a:{SECRET}@db:5x/d",
        f"postgresql://a:{SECRET}@db,,db2/d",
        f"postgresql://a:{SECRET}@{','.join(['db'] * 9)}/d",
        f"postgresql://a:{SECRET}@[::1/d",
        f"postgresql://a:{SECRET}@[::1]x/d",
        f"postgresql://a:{SECRET}@db/d#x",
        f"postgresql://a:{SECRET}@db/d?options=-c%20fsync=off",
        f"postgresql://a:{SECRET}@db/d?passfile=/etc/shadow",
        f"postgresql://a:{SECRET}@db/d?service=x",
        f"postgresql://a:{SECRET}@db/d?sslmode=disable&sslmode=verify-full",
        f"postgresql://a:{SECRET}@db/d?host=/run",
        f"postgresql://a:{SECRET}@/d?host=other",
        f"postgresql://a:{SECRET}@db/d?sslrootcert",
        f"postgresql://a:{SECRET}@db/d\n",
        f"postgresql://a:{SECRET}@db/{'d' * 5000}",
        f"postgresql://a:{SECRET}@%2Ftmp/d",
        f"postgresql://a:{SECRET}%00@db/d",
        f"postgresql://a%0A:{SECRET}@db/d",
        f"postgresql://a:{SECRET}@db/d%00",
        f"postgresql://a:{SECRET}@db/d?sslrootcert=%00",
    ],
)
def test_what_is_no_url_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.of_url(url)
    assert SECRET not in f"{error.value} {error.value.__cause__} {error.value.__context__}"
