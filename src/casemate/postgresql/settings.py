"""Where the database servers are, from one URL; TLS that proves the server, unless it is local."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote

from casemate.postgresql import faults
from casemate.postgresql.errors import SettingsError

MAX_HOSTS: Final = 8
MAX_URL: Final = 4096
DEFAULT_PORT: Final = 5432
_FILES = frozenset({"sslrootcert", "sslcert", "sslkey"})
_KNOWN = _FILES | {"host", "sslmode"}
_WEAKER = ("disable", "require", "verify-ca")
_FORM = "Write postgresql://USER@HOST:PORT/DATABASE?sslrootcert=FILE; several hosts by commas."


@dataclass(frozen=True, slots=True)
class Host:
    """One server: a name, an address, or the folder of its socket."""

    name: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether what is sent there does not leave this machine."""
        if self.name.startswith("/") or self.name == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.name).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where to connect, as whom, and how the server proves itself. Never shows the password."""

    hosts: tuple[Host, ...]
    user: str
    database: str
    password: str | None = field(default=None, repr=False)
    sslmode: str = "verify-full"
    files: tuple[tuple[str, str], ...] = ()
    """Of TLS: what each is for, and where it is."""

    @classmethod
    def of_url(cls, url: str, *, weak_tls_accepted: bool = False) -> Settings:
        """Read a URL. Raises SettingsError, which shows no part of it that may be secret.

        What leaves this machine needs TLS with the server's name proved. Only with
        `weak_tls_accepted`, which stands for a recorded exception, may `sslmode` be weaker.
        """
        if len(url) > MAX_URL or not url.isprintable():
            raise _bad(f"it has {len(url)} characters, or some that cannot be printed")
        scheme, _, rest = url.partition("://")
        if scheme not in ("postgresql", "postgres"):
            raise _bad("it does not begin with postgresql://")
        # The standard library knows one host, and refuses addresses in brackets beside others.
        before, _, query = rest.partition("?")
        options = _options(url, query)
        netloc, _, path = before.partition("/")
        authority, _, places = netloc.rpartition("@")
        user, has_password, password = authority.partition(":")
        hosts = _hosts(places, options.pop("host", ""))
        if not user or not path.strip("/"):
            raise _bad("it names no user, or no database")
        decoded = [unquote(part) for part in (user, path, password)]
        if not all(part.isprintable() for part in (*decoded, *options.values())):
            raise _bad("a part of it has control characters once it is decoded")
        sslmode = _sslmode(options.pop("sslmode", None), hosts, weak=weak_tls_accepted)
        return cls(
            hosts=hosts,
            user=decoded[0],
            database=decoded[1],
            password=decoded[2] if has_password else None,
            sslmode=sslmode,
            files=tuple(sorted(options.items())),
        )

    def parameters(self, host: Host) -> dict[str, str]:
        """Return what the client library is told; nothing is left to its environment."""
        files = dict(self.files)
        if self.sslmode.startswith("verify"):
            files.setdefault("sslrootcert", "system")
        wanted = {
            "host": host.name,
            "port": str(host.port),
            "user": self.user,
            "dbname": self.database,
            "sslmode": self.sslmode,
            "passfile": "/nonexistent/casemate",
            "gssencmode": "disable",
            "target_session_attrs": "any",
            "options": "",
            "client_encoding": "UTF8",
            "application_name": "casemate",
            "keepalives_idle": "5",
            "keepalives_interval": "2",
            "keepalives_count": "3",
            "tcp_user_timeout": "15000",
            # A server that asks for the password itself gets nothing.
            "require_auth": "none" if self.password is None else "scram-sha-256",
            **files,
        }
        if self.password is not None:
            wanted["password"] = self.password
        return wanted

    def cleaned(self, text: str) -> str:
        """Return what a server or the client library said: one line, short, no password."""
        if self.password:
            text = text.replace(self.password, "…")
        return faults.one_line(text)


def _bad(why: str) -> SettingsError:
    return SettingsError(f"The URL of the database is not valid: {why}.", next_step=_FORM)


def _options(url: str, query: str) -> dict[str, str]:
    if "#" in url:
        raise _bad("it has a '#'; write %23 in its place")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise _bad("what follows '?' is not NAME=VALUE&NAME=VALUE") from error
    options = dict(pairs)
    unknown = sorted(options.keys() - _KNOWN)
    if unknown or len(options) != len(pairs):
        raise _bad(f"it may name {', '.join(sorted(_KNOWN))} once each, and nothing else")
    return options


def _hosts(places: str, folder: str) -> tuple[Host, ...]:
    if folder:
        port = places.removeprefix(":")
        if not folder.startswith("/") or (places and not places.startswith(":")):
            raise _bad("host= is the folder of a socket, and then no other host is named")
        return (Host(folder, _port(port)),)
    hosts = tuple(_host(place) for place in places.split(","))
    if len(hosts) > MAX_HOSTS:
        raise _bad(f"it names {len(hosts)} hosts; expected at most {MAX_HOSTS}")
    return hosts


def _host(place: str) -> Host:
    if place.startswith("["):
        name, closed, rest = place[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise _bad("an address in brackets does not end, or more than a port follows it")
        return Host(name, _port(rest.removeprefix(":")))
    name, _, port = place.partition(":")
    if not name or not name.isascii() or name.startswith("/") or "%" in name:
        raise _bad("a host is missing or is none")
    return Host(name, _port(port))


def _port(text: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise _bad("a port is not a number from 1 to 65535")
    return int(text)


def _sslmode(given: str | None, hosts: tuple[Host, ...], *, weak: bool) -> str:
    local = all(host.is_local for host in hosts)
    if given is None:
        return "disable" if local else "verify-full"
    if given != "verify-full" and given not in _WEAKER:
        raise _bad(f"sslmode is none of verify-full, {', '.join(_WEAKER)}")
    if given != "verify-full" and not local and not weak:
        raise SettingsError(
            f"sslmode={given} does not prove that the database server is the one meant; "
            "expected verify-full for a host that is not this machine.",
            next_step="Leave sslmode out and name the authority by sslrootcert=FILE, or record an "
            "exception.",
        )
    return given
