"""Servers that code in Python speaks to without encryption: passwords and data in clear text."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from casemate.audit.code.reading import PythonFile
from casemate.audit.rules.looks import argument, is_value, scopes
from casemate.audit.rules.plain_addresses import (
    UPGRADES,
    is_far,
    is_switched_off,
    plain_server,
)
from casemate.audit.syntax import walk

Found = Iterator[tuple[ast.AST, str]]


def plain_connections(file: PythonFile) -> Found:
    """Find servers that are used without encryption."""
    yield from _addresses(file)
    yield from _settings(file)
    for call, name in file.calls():
        what = _wrong(name, call) if all(each.arg for each in call.keywords) else None
        if what:
            yield call, what
    for nodes in scopes(file):
        yield from _sessions(file, nodes)
    yield from _directories(file)


def joined(node: ast.expr) -> str | None:
    """Return a text of which at least the beginning is written out, other parts as `x`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(p.value) if isinstance(p, ast.Constant) else "x" for p in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left = joined(node.left)
        return None if left is None else left + (joined(node.right) or "x")
    return None


def _addresses(file: PythonFile) -> Found:
    """Find addresses of servers that are written out."""
    if "://" not in file.text and "sslmode" not in file.text:
        return
    upgraded = UPGRADES.search(file.text) is not None
    alone = {id(node.value) for node in file.nodes if isinstance(node, ast.Expr)}
    inner = set[int]()
    for node in file.nodes:
        if not isinstance(node, (ast.Constant, ast.JoinedStr, ast.BinOp)) or id(node) in inner:
            continue
        text = joined(node) if id(node) not in alone else None
        if text is None or len(text) > _MAX_TEXT:
            continue
        inner.update(id(each) for each in walk(node))
        scheme = plain_server(text, upgraded=upgraded)
        if scheme is not None:
            yield node, f"{scheme}:// is used without encryption"
        elif is_switched_off(text):
            yield node, "encryption is switched off, or left to the server, by an address"


_MAX_TEXT = 2_000


def _settings(file: PythonFile) -> Found:
    """Find settings of Django and Flask-Mail, and those of drivers in dictionaries."""
    given: dict[str, ast.expr] = {}
    for node in file.nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                name = _setting(target)
                if name:
                    given[name] = node.value
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                said, off = getattr(key, "value", None), getattr(value, "value", None)
                if isinstance(said, str) and (said, off) in _OFF_IN_DICTIONARIES:
                    yield value, f"encryption is switched off: {said} is {off}"
    for begin in ("EMAIL", "MAIL"):
        password = given.get(f"{begin}_HOST_PASSWORD") or given.get(f"{begin}_PASSWORD")
        tls, other = given.get(f"{begin}_USE_TLS"), given.get(f"{begin}_USE_SSL")
        host = given.get(f"{begin}_HOST") or given.get(f"{begin}_SERVER")
        off = tls is None or is_value(tls, False)
        if password is None or not off or not (other is None or is_value(other, False)):
            continue
        if tls is not None or is_far(getattr(host, "value", None)):
            yield tls or host or password, "mail is sent with its password in clear text"


_OFF_IN_DICTIONARIES = {
    ("sslmode", "disable"),
    ("security.protocol", "SASL_PLAINTEXT"),
    ("security_protocol", "SASL_PLAINTEXT"),
    ("ssl_disabled", True),
}


def _setting(target: ast.expr) -> str:
    """Return the name of a setting that is given: `MAIL_USE_TLS`, `config["MAIL_USE_TLS"]`."""
    if isinstance(target, ast.Name):
        return target.id
    key = getattr(getattr(target, "slice", None), "value", None)
    return key if isinstance(target, ast.Subscript) and isinstance(key, str) else ""


def _constant(call: ast.Call, name: str, at: int | None = None) -> object:
    """Return what a call is given, written out; None for all that is made while it runs."""
    found = argument(call, name)
    if found is None and at is not None and len(call.args) > at:
        found = call.args[at]
    return found.value if isinstance(found, ast.Constant) else None


def _is_near(call: ast.Call, at: int | None = 0) -> bool:
    """Tell whether a call names this machine or a private network."""
    hosts = [_constant(call, name, at) for name in ("host", "server", "bootstrap_servers", "dsn")]
    said = [each for each in hosts if isinstance(each, str)]
    return any(not is_far(each) and "=" not in each and "://" not in each for each in said)


def _password(call: ast.Call) -> bool:
    return any(argument(call, each) is not None for each in ("password", "passwd", "credentials"))


def _redis(call: ast.Call) -> str | None:
    plain = _off(call, "ssl") and argument(call, "connection_pool") is None
    far = is_far(_constant(call, "host", 0)) and _password(call)
    return "the password of Redis is sent in clear text" if plain and far else None


def _off(call: ast.Call, name: str) -> bool:
    """Tell whether a switch that is off by itself is not on."""
    found = argument(call, name)
    return found is None or is_value(found, False)


def _amqp(call: ast.Call) -> str | None:
    secret = _password(call) or len(call.args) > _CREDENTIALS
    plain = argument(call, "ssl_options") is None and _off(call, "ssl")
    far = is_far(_constant(call, "host", 0))
    return "the password of AMQP is sent in clear text" if plain and secret and far else None


_CREDENTIALS = 3
"""Where pika has them among its arguments."""


def _kafka(call: ast.Call) -> str | None:
    said = _constant(call, "security_protocol")
    return "the password of Kafka is sent in clear text" if said == "SASL_PLAINTEXT" else None


def _postgres(call: ast.Call) -> str | None:
    off = _constant(call, "sslmode") in ("disable", "allow", "prefer")
    off = off or _constant(call, "ssl") in ("disable", "allow", "prefer")
    off = off or is_value(argument(call, "ssl"), False)
    return "encryption of PostgreSQL is off, or left to the server" if off else None


def _mysql(call: ast.Call) -> str | None:
    off = is_value(argument(call, "ssl_disabled"), True)
    off = off or _constant(call, "ssl_mode") == "DISABLED"
    return "encryption of MySQL is switched off" if off else None


def _switched(call: ast.Call) -> str | None:
    names = ("tls", "ssl", "use_ssl", "secure", "use_tls")
    off = any(is_value(argument(call, name), False) for name in names)
    return "encryption is switched off" if off else None


def _mail(call: ast.Call) -> str | None:
    never = is_value(argument(call, "start_tls"), False) and _off(call, "use_tls")
    return "mail is sent with its password in clear text" if never and _password(call) else None


_CALLS: dict[str, Callable[[ast.Call], str | None]] = {
    **dict.fromkeys(
        ("redis.Redis", "redis.StrictRedis", "redis.asyncio.Redis", "aioredis.Redis"), _redis
    ),
    **dict.fromkeys(
        ("pika.ConnectionParameters", "aio_pika.connect", "aio_pika.connect_robust"), _amqp
    ),
    **dict.fromkeys(("psycopg2.connect", "psycopg.connect", "psycopg.AsyncConnection.connect"), _postgres),
    **dict.fromkeys(("asyncpg.connect", "asyncpg.create_pool"), _postgres),
    **dict.fromkeys(("pymysql.connect", "MySQLdb.connect", "mysql.connector.connect"), _mysql),
    **dict.fromkeys(("aiomysql.connect", "aiomysql.create_pool"), _mysql),
    **dict.fromkeys(("aiosmtplib.send", "aiosmtplib.SMTP"), _mail),
    **dict.fromkeys(
        (
            *("pymongo.MongoClient", "motor.motor_asyncio.AsyncIOMotorClient", "boto3.client"),
            *("boto3.resource", "minio.Minio", "elasticsearch.Elasticsearch", "nats.connect"),
            *("opensearchpy.OpenSearch", "clickhouse_driver.Client", "pymongo.AsyncMongoClient"),
        ),
        _switched,
    ),
}  # fmt: skip


def _wrong(name: str, call: ast.Call) -> str | None:
    check = _CALLS.get(name)
    if check is None and name.startswith(("kafka.", "aiokafka.")):
        check = _kafka
    return check(call) if check is not None and not _is_near(call) else None


def _sessions(file: PythonFile, nodes: list[ast.AST]) -> Found:
    """Find servers that are signed in to in a function, and what makes that secret is not called."""
    made: dict[str, tuple[ast.Call, str]] = {}
    for node in nodes:
        if isinstance(node, (ast.With, ast.AsyncWith)):
            pairs = [(item.optional_vars, item.context_expr) for item in node.items]
        else:
            pairs = [(t, node.value) for t in node.targets] if isinstance(node, ast.Assign) else []
        for target, value in pairs:
            kind = file.name(value.func) if isinstance(value, ast.Call) else ""
            if isinstance(value, ast.Call) and kind in _SESSIONS and target is not None:
                made[ast.unparse(target)] = value, kind
    if not made:
        return
    calls = [each for each in nodes if isinstance(each, ast.Call)]
    methods = [(ast.unparse(c.func.value), c.func.attr, c) for c in calls if _is_method(c)]  # type: ignore[attr-defined]
    for name, (call, kind) in made.items():
        secret, closing, text = _SESSIONS[kind]
        named = {method: c for owner, method, c in methods if owner == name}
        passed = any(ast.unparse(a) == name for c in calls for a in c.args)
        login = named.get(secret)
        if login is None or passed or closing & set(named) or _is_near(call):
            continue
        if kind.startswith("paho"):
            to = named.get("connect")
            if to is not None and is_far(_constant(to, "host", 0)):
                yield to, text
        elif len(login.args) + len(login.keywords) > 1:
            yield call, text


def _is_method(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute)


_SESSIONS = {
    "smtplib.SMTP": (
        "login",
        frozenset(("starttls",)),
        "SMTP is signed in to with its password in clear text",
    ),
    "ftplib.FTP": (
        "login",
        frozenset[str](),
        "FTP is signed in to with its password in clear text",
    ),
    "imaplib.IMAP4": (
        "login",
        frozenset(("starttls",)),
        "IMAP is signed in to with its password in clear text",
    ),
    "poplib.POP3": (
        "pass_",
        frozenset(("stls",)),
        "POP3 is signed in to with its password in clear text",
    ),
    "paho.mqtt.client.Client": (
        "username_pw_set",
        frozenset(("tls_set", "tls_set_context")),
        "the password of MQTT is sent in clear text",
    ),
}
"""What makes a session: the call that sends a password, those that make it secret, what to say."""
_LDAPS = 636
_PASSWORD = 2
"""Where ldap3 has it among its arguments."""


def _binds(call: ast.Call) -> bool:
    return _password(call) or len(call.args) > _PASSWORD


def _directories(file: PythonFile) -> Found:
    """Find servers of LDAP that a password is sent to."""
    if "ldap3" not in file.text or UPGRADES.search(file.text):
        return
    calls = list(file.calls())
    bound = any(name == "ldap3.Connection" and _binds(call) for call, name in calls)
    for call, name in calls:
        if name == "ldap3.Server" and bound and _off(call, "use_ssl"):
            host = _constant(call, "host", 0)
            if is_far(host) and _constant(call, "port", 1) != _LDAPS:
                yield call, "LDAP is signed in to with its password in clear text"
