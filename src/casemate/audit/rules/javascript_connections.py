"""Servers that JavaScript speaks to without encryption: passwords and data in clear text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.audit.javascript.script_file import (
    ScriptFile,
    property_of,
    text_of,
)
from casemate.audit.javascript.syntax import Node
from casemate.audit.rules.plain_addresses import (
    UPGRADES,
    is_far,
    is_switched_off,
    plain_server,
)

Found = Iterator[tuple[Node, str]]
_MAX_TEXT = 2_000
_MAX_DEPTH = 40
_DRIVERS = re.compile(
    r"^(?:pg|pg-promise|postgres|mysql|mysql2|mysql2/promise|mariadb|mssql|typeorm|knex|sequelize"
    r"|mongodb|mongoose|slonik|oracledb|promise-mysql|serverless-mysql)\b"
)
_KAFKA = re.compile(r"^(?:kafkajs|@confluentinc/kafka-javascript)\b.*\bKafka$")
_CACHES = re.compile(r"^(?:ioredis|redis|@redis/client|handy-redis)\b")
_MAIL = re.compile(r"^nodemailer\b.*\bcreateTransport$")
_FILES = re.compile(r"\.access$")
_SECRETS = ("password", "pass", "passwd")


def plain_connections(file: ScriptFile) -> Found:
    """Find servers that are used without encryption."""
    upgraded = _upgrades(file)
    for kind in ("string", "template_string", "binary_expression"):
        for node in file.kinds[kind]:
            text = _whole(file, node)
            if text is None:
                continue
            scheme = plain_server(text, upgraded=upgraded)
            if scheme is not None:
                yield node, f"{scheme}:// is used without encryption"
            elif is_switched_off(text):
                yield node, "encryption is switched off, or left to the server, by an address"
    for call, name, arguments in file.calls:
        for each in arguments[:2]:
            if each.kind == "object":
                text = _wrong(file, name, each)
                if text:
                    yield call, text


def _upgrades(file: ScriptFile) -> bool:
    return any(
        UPGRADES.search(each.text)
        for kind in ("property_identifier", "identifier", "shorthand_property_identifier")
        for each in file.kinds[kind]
    )


def _whole(file: ScriptFile, node: Node) -> str | None:
    """Return a text that begins an expression, with `x` for what is made while it runs."""
    around = file.parent(node)
    if around is not None and around.kind == "binary_expression" and "+" in around.marks:
        return None
    if node.kind == "binary_expression" and "+" not in node.marks:
        return None
    found = _joined(file, node, 0)
    return found if found is not None and len(found) <= _MAX_TEXT else None


def _joined(file: ScriptFile, node: Node, depth: int) -> str | None:
    file.spend()
    if depth > _MAX_DEPTH:
        return None
    if node.kind in ("string", "template_string"):
        return "".join("x" if k.kind == "template_substitution" else k.text for k in node.kids)
    if node.kind == "binary_expression" and "+" in node.marks:
        left, right = node.get("left"), node.get("right")
        begin = _joined(file, left, depth + 1) if left is not None else None
        if begin is None or right is None:
            return None
        return begin + (_joined(file, right, depth + 1) or "x")
    return None


def _wrong(file: ScriptFile, name: str, options: Node) -> str | None:
    """Say what is wrong with the options of a connection."""
    if any(kid.kind == "spread_element" for kid in options.kids) or _is_near(options):
        return None
    given_to = name.partition("()")[0]
    secret = any(property_of(options, each) is not None for each in _SECRETS)
    far = is_far(text_of(property_of(options, "host")))
    files = any(v.startswith("basic-ftp") for v in file.imported.values())
    wrong = {
        "encryption of the database is switched off": _DRIVERS.match(given_to)
        and _says(options, "false", "ssl", "tls"),
        "the password of Kafka is sent in clear text": _KAFKA.match(name)
        and property_of(options, "sasl") is not None
        and _unset(options, "ssl"),
        "mail is sent with its password in clear text": _MAIL.match(name)
        and _says(options, "true", "ignoreTLS"),
        "the password of Redis is sent in clear text": _CACHES.match(given_to)
        and secret
        and far
        and _unset(options, "tls", "socket"),
        "FTP is signed in to with its password in clear text": _FILES.search(name)
        and files
        and secret
        and _unset(options, "secure"),
    }
    return next((text for text, found in wrong.items() if found), None)


def _is_near(options: Node) -> bool:
    """Tell whether options name this machine or a private network."""
    host = text_of(property_of(options, "host", "server", "hostname"))
    return host is not None and not is_far(host)


def _says(options: Node, value: str, *names: str) -> bool:
    found = property_of(options, *names)
    return found is not None and found.kind == value


def _unset(options: Node, *names: str) -> bool:
    """Tell whether a switch that is off by itself is not on."""
    short = any(kid.text in names for kid in options.kids if kid.kind != "pair")
    return not short and (property_of(options, *names) is None or _says(options, "false", *names))
