"""What a node's settings file says to the monitor: rules of one's own, channels, signs of life.

Read by whoever starts the node, once, and passed on as it was understood. Nothing in it is secret
but the addresses themselves: keys and passwords are named by their place in the vault.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from casemate.egress.target import Target, TargetError, parse_authority
from casemate.model.function import NAME_PATTERN
from casemate.model.grant import RESOURCE_PATTERN
from casemate.model.level import Level
from casemate.monitor.errors import SettingsError

MAX_SETTINGS_BYTES = 64 * 1024
MAX_UNDERSTOOD_BYTES = 128 * 1024
"""With all authorities: it waits in a socket for the monitor to read it."""
MAX_CHANNELS = 16
MAX_CA_BYTES = 64 * 1024
_MAX_URL = 2048
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SECRET = NAME_PATTERN.removesuffix("$") + "/" + RESOURCE_PATTERN.removeprefix("^")
PRIVATE = "private"
PLAINTEXT = "plaintext"
RISKS = frozenset((PRIVATE, PLAINTEXT))
"""What the operator can accept for a channel by name: that it is at an address inside one's own
network, and that whoever is between reads and changes what is sent."""

Seconds = Annotated[float, msgspec.Meta(ge=1, le=30 * 86_400)]
SecretName = Annotated[str, msgspec.Meta(pattern=_SECRET)]
Mailbox = Annotated[str, msgspec.Meta(pattern=r"^[!-;=?A-~]{1,64}@[A-Za-z0-9.-]{1,253}$")]
ChannelName = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]


class _Reached(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is true of all that is outside."""

    accept: tuple[str, ...] = ()
    """Of `RISKS`."""
    ca: str = ""
    """Certificates of authorities in PEM, in place of the host's; in the file the path to them."""

    @property
    def private(self) -> bool:
        """Whether addresses inside one's own network are meant."""
        return PRIVATE in self.accept

    @property
    def plaintext(self) -> bool:
        """Whether it may go without TLS."""
        return PLAINTEXT in self.accept


class _Channel(_Reached, frozen=True, kw_only=True):
    """What is true of all channels."""

    level: Level = Level.MEDIUM
    """The least grave finding that is told."""
    fold: Seconds = 3600.0
    """Of one rule and entity no more than one alert in as long."""
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30
    """Messages that are sent at most; beyond that several alerts go in one."""


class Webhook(_Channel, frozen=True, kw_only=True, tag="webhook", tag_field="kind"):
    """POST of JSON, signed as Standard Webhooks 1.0 has it."""

    url: Annotated[str, msgspec.Meta(max_length=_MAX_URL)]
    secret: SecretName
    """The key: `PROJECT/NAME` in the vault."""

    @property
    def target(self) -> Target:
        """Return where it is."""
        return parse_url(self.url)[1]


class Mail(_Channel, frozen=True, kw_only=True, tag="mail", tag_field="kind"):
    """By SMTP, over TLS from the first byte on or from STARTTLS on."""

    server: Annotated[str, msgspec.Meta(max_length=300)]
    """`HOST:PORT`."""
    starttls: bool = False
    sender: Mailbox
    to: Annotated[tuple[Mailbox, ...], msgspec.Meta(min_length=1, max_length=16)]
    user: Annotated[str, msgspec.Meta(max_length=256)] = ""
    password: SecretName | None = None
    """`PROJECT/NAME` in the vault."""

    @property
    def target(self) -> Target:
        """Return where it is."""
        return parse_authority(self.server)


class Syslog(_Channel, frozen=True, kw_only=True, tag="syslog", tag_field="kind"):
    """RFC 5424, over TLS (RFC 5425), or in datagrams (RFC 5426) where that is accepted."""

    server: Annotated[str, msgspec.Meta(max_length=300)]
    udp: bool = False

    @property
    def target(self) -> Target:
        """Return where it is."""
        return parse_authority(self.server)


class Deadman(_Reached, frozen=True, kw_only=True):
    """A request that is made again and again: who gets none any more knows that all is silent."""

    url: Annotated[str, msgspec.Meta(max_length=_MAX_URL)]
    every: Seconds = 300.0

    @property
    def target(self) -> Target:
        """Return where it is."""
        return parse_url(self.url)[1]


Channel = Webhook | Mail | Syslog


class MonitorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    rules: str | None = None
    """Folder of rules of one's own."""
    alerts: Annotated[dict[ChannelName, Channel], msgspec.Meta(max_length=MAX_CHANNELS)] = (
        msgspec.field(default_factory=dict)
    )
    deadman: Deadman | None = None

    @property
    def reached(self) -> tuple[Channel | Deadman, ...]:
        """All that is outside."""
        return (*self.alerts.values(), *((self.deadman,) if self.deadman else ()))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Secrets that the monitor uses, as `PROJECT/NAME`."""
        found = {each.secret for each in self.alerts.values() if isinstance(each, Webhook)}
        found |= {
            each.password
            for each in self.alerts.values()
            if isinstance(each, Mail) and each.password
        }
        return tuple(sorted(found))


def parse_url(url: str) -> tuple[bool, Target, str]:
    """Return whether a URL is of TLS, its host and port, and its path. Raises TargetError."""
    scheme, found, rest = url.partition("://")
    secure = scheme == "https"
    if not found or (not secure and scheme != "http"):
        raise TargetError(
            "The URL does not begin with https:// (or http://).", next_step="write it in full"
        )
    authority, slash, path = rest.partition("/")
    if any(not "!" <= letter <= "~" for letter in path) or "?" in authority or "#" in url:
        raise TargetError(
            "The URL has a character that has no place there.", next_step="percent-encode it"
        )
    _, _, port = authority.rpartition("]")
    if ":" not in port:
        authority += ":443" if secure else ":80"
    return secure, parse_authority(authority), slash + path if slash else "/"


def seconds_of(text: str) -> float:
    """Return the seconds of a text such as `90s`, `5m`, `2h` or `1d`. Raises ValueError."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not (number.isascii() and number.isdecimal()) or len(number) > 7:
        raise ValueError(f"{text[:32]!r} is no time such as 90s, 5m, 2h or 1d")
    return float(int(number) * _UNITS[unit])


def read_settings(file: Path) -> MonitorSettings:
    """Return what a settings file says. Raises SettingsError."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_SETTINGS_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror}.", next_step="name a settings file"
        ) from error
    if len(data) > MAX_SETTINGS_BYTES:
        raise SettingsError(f"{file} has more than {MAX_SETTINGS_BYTES} bytes.")
    try:
        raw = msgspec.toml.decode(data, type=dict)
        for each in (*_tables(raw.get("alerts")), *_tables({"": raw.get("deadman")})):
            for name in ("fold", "every"):
                if isinstance(each.get(name), str):
                    each[name] = seconds_of(each[name])
            if isinstance(each.get("ca"), str):
                each["ca"] = _authorities(file.parent / each["ca"])
        if isinstance(raw.get("rules"), str):
            raw["rules"] = str((file.parent / raw["rules"]).absolute())
        found = msgspec.convert(raw, MonitorSettings)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OSError) as error:
        raise SettingsError(
            f"{file} is not what a node's settings are: {error}",
            next_step="see docs/howto/get-alerts.md",
        ) from error
    for name, reached in (*found.alerts.items(), ("deadman", found.deadman)):
        if reached is not None:
            _require_sound(f"{file}: {name}", reached)
    if len(msgspec.json.encode(found)) > MAX_UNDERSTOOD_BYTES:
        raise SettingsError(
            f"{file} has over {MAX_UNDERSTOOD_BYTES} bytes with the authorities that it names.",
            next_step="name files with fewer authorities",
        )
    return found


def _tables(found: object) -> list[dict[str, Any]]:
    values = found.values() if isinstance(found, dict) else ()
    return [each for each in values if isinstance(each, dict)]


def _authorities(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(MAX_CA_BYTES + 1)
    if len(data) > MAX_CA_BYTES or b"CERTIFICATE" not in data:
        raise ValueError(f"{file} holds no certificates in PEM, or too many")
    return data.decode("ascii")


def _require_sound(place: str, reached: Channel | Deadman) -> None:
    """Refuse what is no address, and what is open without being accepted. Raises SettingsError."""
    if unknown := set(reached.accept) - RISKS:
        raise SettingsError(
            f"{place}: there is nothing to accept called {min(unknown)[:40]!r}.",
            next_step=f"accept only {', '.join(sorted(RISKS))}",
        )
    try:
        secure = True
        if isinstance(reached, Webhook | Deadman):
            secure = parse_url(reached.url)[0]
        elif isinstance(reached, Syslog):
            secure = not reached.udp
        if reached.target.port == 0:
            raise TargetError("There is no port 0.")
    except TargetError as error:
        raise SettingsError(f"{place}: {error.message}", next_step=error.next_step) from error
    if not secure and not reached.plaintext:
        raise SettingsError(
            f"{place}: what is sent there goes without TLS: whoever is between reads and changes "
            "it.",
            next_step=f'use TLS, or accept it: accept = ["{PLAINTEXT}"]',
        )
    if isinstance(reached, Mail) and bool(reached.user) != (reached.password is not None):
        raise SettingsError(f"{place}: user and password go together.", next_step="give both")
