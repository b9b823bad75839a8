"""Addresses and settings by which a server is used without encryption, in any language."""

from __future__ import annotations

import re

_USER = r"(?:[^@/\s\"']{0,200}@)?"
_NEAR = (
    r"(?!localhost|127\.|0\.0\.0\.0|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|host\.docker"
    r"|169\.254\.|[a-z0-9_-]+(?::\d+)?(?:[/?,]|$)"
    r"|[\w.-]+\.(?:internal|local|svc|cluster\.local|test|example|localdomain)(?![\w.-]))[\w.-]+"
)
"""A host that is neither this machine, nor in a private network, nor a name without a domain."""
_OTHERS = "ws|ftp|ldap|redis|amqp|mqtt|smtp|stomp|tcp"
PLAIN_WEB = re.compile(rf"^http://{_NEAR}", re.I)
PLAIN_SERVER = re.compile(
    rf"^(?P<scheme>{_OTHERS})://{_USER}(?P<host>{_NEAR})(?P<port>:\d+)?", re.I
)
_SWITCHED_OFF = re.compile(
    r"^[a-z][\w+.-]{1,40}://.{0,400}[?&](?:sslmode=(?:disable|allow|prefer)\b|ssl_?mode=DISABLED\b"
    r"|(?:ssl|tls|usessl|encrypt)=(?:false|0|disabled?)\b)|\bsslmode=disable\b",
    re.I,
)
_HOST = re.compile(rf"(?:://{_USER}|\bhost=){_NEAR}", re.I)
_HOST_ALONE = re.compile(rf"^{_NEAR}", re.I)
_UPGRADED = ("ldap", "smtp")
"""What begins without encryption and may change to it: StartTLS."""
_SUBMISSION = ":587"
UPGRADES = re.compile(r"start_?tls|AUTO_BIND_TLS|requireTLS|_USE_TLS|tls_required", re.I)


def is_far(host: object) -> bool:
    """Tell whether a text is a host outside of this machine and of private networks."""
    return isinstance(host, str) and _HOST_ALONE.match(host) is not None


def plain_server(address: str, *, upgraded: bool) -> str | None:
    """Return the scheme of an address without encryption; `upgraded` if StartTLS may follow."""
    found = PLAIN_SERVER.match(address)
    if found is None:
        return None
    scheme = found["scheme"].lower()
    if scheme in _UPGRADED and (upgraded or found["port"] == _SUBMISSION):
        return None
    return None if scheme == "tcp" and "mq" not in found["host"] else scheme


def is_switched_off(address: str) -> bool:
    """Tell whether an address of a far server says that encryption is off, or may be."""
    return _SWITCHED_OFF.search(address) is not None and _HOST.search(address) is not None


_OFF = re.compile(r"(?:false|0|off|no|none|disabled?)$", re.I)
SETTINGS = (
    (re.compile(r"(?:^|_)SECURITY_PROTOCOL$", re.I), re.compile(r"(?:SASL_)?PLAINTEXT$", re.I)),
    (
        re.compile(r"(?:^PG|_)SSL_?MODE$", re.I),
        re.compile(r"(?:disabled?|allow|prefer(?:red)?|off|none)$", re.I),
    ),
    (
        re.compile(
            r"(?:^|_)(?:EMAIL|MAIL|SMTP|REDIS|AMQP|RABBITMQ|KAFKA|MONGO(?:DB)?|MYSQL|POSTGRES|PG"
            r"|DB|DATABASE|LDAP|MQTT|ELASTIC(?:SEARCH)?)_(?:USE_)?(?:TLS|SSL|SECURE)(?:_ENABLED)?$",
            re.I,
        ),
        _OFF,
    ),
    (re.compile(r"(?:^|_)(?:SSL|TLS)_DISABLED?$", re.I), re.compile(r"(?:true|1|on|yes)$", re.I)),
)
"""Names of variables and the values with which they switch encryption off."""
