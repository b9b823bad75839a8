"""What a node's settings file says to the monitor: rules of one's own, and all that is outside.

Alerts, signs of life, exports and second places for checkpoints. Read by whoever starts the node,
once, and passed on as it was understood. Nothing in it is secret but the addresses themselves: keys
and passwords are named by their place in the vault.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.egress.target import Target, TargetError, parse_authority
from casemate.model.level import Level
from casemate.monitor.errors import SettingsError
from casemate.monitor.exports.settings import Export, Otlp, faults
from casemate.monitor.on_call import (
    MAX_ROTATIONS,
    Person,
    Rotation,
    host_zone,
    rules_of_zone,
    with_rules,
)
from casemate.monitor.places.settings import FilePlace, Place, S3Place, WebhookPlace
from casemate.monitor.reached import (
    PLAINTEXT,
    PRIVATE,
    RISKS,
    AtUrl,
    ChannelName,
    Reached,
    Seconds,
    SecretName,
    Server,
    Url,
    accepting,
    parse_url,
    seconds_of,
)

MAX_SETTINGS_BYTES = 64 * 1024
MAX_UNDERSTOOD_BYTES = 128 * 1024
"""With all authorities: it waits in a socket for the monitor to read it."""
MAX_CHANNELS = 16
MAX_EXPORTS = 8
MAX_PLACES = 8
MAX_CA_BYTES = 64 * 1024
_TIMES = ("after", "fold", "every", "metrics_every")
Mailbox = Annotated[str, msgspec.Meta(pattern=r"^[!-;=?A-~]{1,64}@[A-Za-z0-9.-]{1,253}$")]


class _Channel(Reached, frozen=True, kw_only=True):
    """What is true of all channels."""

    level: Level = Level.MEDIUM
    """The least grave finding that is told."""
    fold: Seconds = 3600.0
    """Of one rule and entity no more than one alert in as long."""
    per_minute: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30
    """Messages that are sent at most; beyond that several alerts go in one."""
    after: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    """It is told if nobody has taken the incident by then: an escalation."""
    on_call: ChannelName | None = None
    """Rotation by whose turns it is told: only while `person` is on call of it."""
    person: Person | None = None
    quiet: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:[01][0-9]|2[0-3]):[0-5][0-9]$"
            ),
        ]
        | None
    ) = None
    """Hours of UTC in which it is told of nothing but what is critical: `22:00-07:00`."""


class Webhook(_Channel, frozen=True, kw_only=True, tag="webhook", tag_field="kind"):
    """POST of JSON, signed as Standard Webhooks 1.0 has it."""

    url: Url
    secret: SecretName
    """The key: `PROJECT/NAME` in the vault."""

    @property
    def target(self) -> Target:
        """Return where it is."""
        return parse_url(self.url)[1]

    @property
    def secure(self) -> bool:
        """Whether it is spoken to over TLS."""
        return parse_url(self.url)[0]


class Mail(_Channel, frozen=True, kw_only=True, tag="mail", tag_field="kind"):
    """By SMTP, over TLS from the first byte on or from STARTTLS on."""

    server: Server
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

    server: Server
    udp: bool = False

    @property
    def target(self) -> Target:
        """Return where it is."""
        return parse_authority(self.server)

    @property
    def secure(self) -> bool:
        """Whether it is spoken to over TLS."""
        return not self.udp


class Deadman(AtUrl, frozen=True, kw_only=True):
    """A request that is made again and again: who gets none any more knows that all is silent."""

    every: Seconds = 300.0


Channel = Webhook | Mail | Syslog
_CHOICES = {
    "level": ", ".join(level.value for level in Level),
    **{
        f"{section}.kind": ", ".join(str(one.__struct_config__.tag) for one in get_args(kinds))
        for section, kinds in (("alerts", Channel), ("export", Export), ("checkpoints", Place))
    },
}
"""What may stand where something else does; msgspec does not say."""


class MonitorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it."""

    rules: str | None = None
    """Folder of rules of one's own."""
    zone: Annotated[str, msgspec.Meta(max_length=98)] = "UTC"
    """Whose clock rules go by that ask for an hour, such as those of what is done at night. Of the
    host, unless it is named."""
    zone_rules: bytes = b""
    """Of the zone (RFC 8536), as the host has them."""
    alerts: Annotated[dict[ChannelName, Channel], msgspec.Meta(max_length=MAX_CHANNELS)] = (
        msgspec.field(default_factory=dict)
    )
    oncall: Annotated[dict[ChannelName, Rotation], msgspec.Meta(max_length=MAX_ROTATIONS)] = (
        msgspec.field(default_factory=dict)
    )
    deadman: Deadman | None = None
    export: Annotated[dict[ChannelName, Export], msgspec.Meta(max_length=MAX_EXPORTS)] = (
        msgspec.field(default_factory=dict)
    )
    checkpoints: Annotated[dict[ChannelName, Place], msgspec.Meta(max_length=MAX_PLACES)] = (
        msgspec.field(default_factory=dict)
    )

    @property
    def reached(self) -> tuple[Reached, ...]:
        """All that is outside."""
        found = [each for _, each in self.named if isinstance(each, Reached)]
        return tuple(found)

    @property
    def named(self) -> tuple[tuple[str, Channel | Deadman | Export | Place], ...]:
        """All that has a place of its own in the file, by that."""
        return (
            *((f"alerts.{name}", each) for name, each in self.alerts.items()),
            *((("deadman", self.deadman),) if self.deadman is not None else ()),
            *((f"export.{name}", each) for name, each in self.export.items()),
            *((f"checkpoints.{name}", each) for name, each in self.checkpoints.items()),
        )

    @property
    def exports_records(self) -> bool:
        """Whether the monitor has to be lent what functions did and wrote."""
        return any({"traces", "logs"} & set(each.signals) for each in self.export.values())

    @property
    def secrets(self) -> tuple[str, ...]:
        """Secrets that the monitor uses, as `PROJECT/NAME`."""
        found: set[str] = set()
        for _, each in self.named:
            if isinstance(each, Webhook | WebhookPlace | S3Place):
                found.add(each.secret)
            elif isinstance(each, Mail) and each.password:
                found.add(each.password)
            elif isinstance(each, Otlp):
                found |= set(each.secret_headers.values())
        return tuple(sorted(found))


def default_settings() -> MonitorSettings:
    """Return what holds without a settings file."""
    zone = host_zone()
    return MonitorSettings(zone=zone, zone_rules=rules_of_zone(zone))


def read_settings(file: Path) -> MonitorSettings:
    """Return what a settings file says. Raises SettingsError."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_SETTINGS_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror}.", next_step="Name a settings file."
        ) from error
    if len(data) > MAX_SETTINGS_BYTES:
        raise SettingsError(f"{file} has more than {MAX_SETTINGS_BYTES} bytes.")
    try:
        raw = msgspec.toml.decode(data, type=dict)
        named = (raw.get("alerts"), raw.get("export"), raw.get("checkpoints"))
        for each in (*chain(*map(_tables, named)), *_tables({"": raw.get("deadman")})):
            for name in _TIMES:
                if isinstance(each.get(name), str):
                    each[name] = seconds_of(each[name])
            if isinstance(each.get("ca"), str):
                each["ca"] = _authorities(file.parent / each["ca"])
            if isinstance(each.get("path"), str):
                each["path"] = str((file.parent / each["path"]).absolute())
        if isinstance(raw.get("rules"), str):
            raw["rules"] = str((file.parent / raw["rules"]).absolute())
        raw.setdefault("zone", host_zone())
        found = _understood(raw)
        if found.zone_rules:
            raise SettingsError("`zone_rules` are the host's, and not given.")
        found = msgspec.structs.replace(
            found,
            oncall={name: with_rules(each) for name, each in found.oncall.items()},
            zone_rules=rules_of_zone(found.zone),
        )
    except (ValueError, OSError, *DECODING_ERRORS) as error:
        raise SettingsError(
            f"{file} is not what a node's settings are: {error}",
            next_step="See docs/howto/get-alerts.md",
        ) from error
    _require_everybody_told(file, found)
    for name, named_there in found.named:
        _require_sound(f"{file}: {name}", named_there)
    if len(msgspec.json.encode(found)) > MAX_UNDERSTOOD_BYTES:
        raise SettingsError(
            f"{file} has over {MAX_UNDERSTOOD_BYTES} bytes with the authorities that it names.",
            next_step="Name files with fewer authorities.",
        )
    return found


def _require_everybody_told(file: Path, found: MonitorSettings) -> None:
    """Refuse a plan in which no channel notifies somebody on call. Raises SettingsError."""
    told: set[tuple[str, str]] = set()
    for name, channel in found.alerts.items():
        if (channel.on_call is None) != (channel.person is None):
            raise SettingsError(
                f"{file}: alerts.{name}: on_call and person go together.", next_step="Give both."
            )
        if channel.on_call is not None and channel.person is not None:
            rotation = found.oncall.get(channel.on_call)
            if rotation is None or channel.person not in rotation.everybody:
                raise SettingsError(
                    f"{file}: alerts.{name}: {channel.person} is never on call of "
                    f"{channel.on_call}.",
                    next_step=f"Name them in people of [oncall.{channel.on_call}].",
                )
            told.add((channel.on_call, channel.person))
    for name, rotation in found.oncall.items():
        for person in sorted(rotation.everybody):
            if (name, person) not in told:
                raise SettingsError(
                    f"{file}: oncall.{name}: {person} is on call, but no channel notifies them.",
                    next_step=f'Name one: on_call = "{name}", person = "{person}"',
                )


def _understood(raw: dict[str, Any]) -> MonitorSettings:
    """Return what the file says. ValueError says in which table a mistake is, and what may be."""
    try:
        return msgspec.convert(raw, decodable(MonitorSettings))
    except msgspec.ValidationError:
        for section in ("alerts", "oncall", "export", "checkpoints"):
            found = raw.get(section)
            for name, table in found.items() if isinstance(found, dict) else ():
                try:
                    msgspec.convert({section: {name: table}}, decodable(MonitorSettings))
                except msgspec.ValidationError as error:
                    raise ValueError(f"[{section}.{name}]: {_mistake(section, error)}") from error
        raise


def _mistake(section: str, error: msgspec.ValidationError) -> str:
    """Return a mistake with the key that it is at, and what may stand there."""
    what, _, path = str(error).partition(" - at ")
    key = path.strip("`").partition("...]")[2].lstrip(".")
    choices = _CHOICES.get(key) or _CHOICES.get(f"{section}.{key}")
    text = f"{key}: {what}" if key else what
    return f"{text}; expected one of {choices}" if choices and "nvalid" in what else text


def _tables(found: object) -> list[dict[str, Any]]:
    values = found.values() if isinstance(found, dict) else ()
    return [each for each in values if isinstance(each, dict)]


def _authorities(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(MAX_CA_BYTES + 1)
    if len(data) > MAX_CA_BYTES or b"CERTIFICATE" not in data:
        raise ValueError(f"{file} has no certificates in PEM, or too many")
    return data.decode("ascii")


def _require_sound(place: str, named: Channel | Deadman | Export | Place) -> None:
    """Refuse what is no address, and what is open without being accepted. Raises SettingsError."""
    if isinstance(named, Otlp) and (wrong := faults(named)):
        raise SettingsError(f"{place}: {wrong}.", next_step="See docs/howto/export-what-happens.md")
    if not isinstance(named, FilePlace):
        _require_reached(place, named)
    if isinstance(named, Mail) and bool(named.user) != (named.password is not None):
        raise SettingsError(f"{place}: user and password go together.", next_step="Give both.")


def _is_inside(reached: Reached) -> bool:
    """Tell whether an address says by itself that it is not public; names are looked up later."""
    target = reached.target
    if target.address is None:
        return target.host == "localhost"
    # What it brings the supervisor, which reads settings as well, would hold for good.
    from casemate.egress.addresses import INSIDE, classify

    return classify(target.address) in INSIDE


def _require_reached(place: str, reached: Reached) -> None:
    """Refuse what is nowhere, and what is open or inside without being accepted."""
    if unknown := set(reached.accept) - RISKS:
        raise SettingsError(
            f"{place}: there is nothing to accept called {min(unknown)[:40]!r}.",
            next_step=f"Accept only {', '.join(sorted(RISKS))}.",
        )
    try:
        secure = reached.secure
        if reached.target.port == 0:
            raise TargetError("There is no port 0.")
    except TargetError as error:
        raise SettingsError(f"{place}: {error.message}", next_step=error.next_step) from error
    if not secure and not reached.plaintext:
        needed = (PLAINTEXT, PRIVATE) if _is_inside(reached) else (PLAINTEXT, *reached.accept)
        raise SettingsError(
            f"{place}: data goes there without TLS: anybody on the network path can read and "
            "change it.",
            next_step=f"Use TLS, or accept it: {accepting(needed)}",
        )
    if not reached.private and _is_inside(reached):
        raise SettingsError(
            f"{place}: {reached.target.text} is an address inside your own network, or this "
            "machine itself.",
            next_step=f"If this is intended: {accepting((*reached.accept, PRIVATE))}",
        )
    if secure and reached.plaintext:
        # Somebody who has accepted it believes that it goes without.
        raise SettingsError(
            f"{place}: {PLAINTEXT!r} is accepted, but data goes there by TLS.",
            next_step=f"Take {PLAINTEXT!r} out of accept; mail goes by TLS always.",
        )
