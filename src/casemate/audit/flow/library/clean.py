"""Calls whose result nobody outside has chosen, or only as a number or a moment."""

from __future__ import annotations

NUMBERS = frozenset(
    (
        *("builtins.len", "builtins.int", "builtins.float", "builtins.ord", "builtins.hash"),
        *("builtins.id", "builtins.round", "builtins.abs", "builtins.complex", "math.floor"),
        *("math.ceil", "builtins.divmod", "builtins.pow", "time.time", "random.seed"),
        *("decimal.Decimal", "fractions.Fraction", "operator.index", "numpy.int64", "zlib.crc32"),
        *("numpy.float64", "math.sqrt", "binascii.crc32", "time.monotonic", "time.perf_counter"),
    )
)
TRUTHS = frozenset(
    (
        *("builtins.bool", "builtins.isinstance", "builtins.issubclass", "builtins.callable"),
        *("builtins.hasattr", "builtins.all", "builtins.any", "os.path.exists", "os.path.isfile"),
        *("os.path.isdir", "hmac.compare_digest", "secrets.compare_digest", "os.access"),
        *("werkzeug.security.check_password_hash", "bcrypt.checkpw", "os.path.islink"),
    )
)
OTHERS = frozenset(
    (
        *("uuid.UUID", "uuid.uuid4", "uuid.uuid1", "uuid.uuid5", "datetime.datetime.strptime"),
        *("datetime.datetime.fromisoformat", "datetime.date.fromisoformat", "datetime.date"),
        *("datetime.datetime.fromtimestamp", "datetime.datetime", "datetime.timedelta"),
        *("dateutil.parser.parse", "ipaddress.ip_address", "ipaddress.ip_network"),
        *("ipaddress.IPv4Address", "ipaddress.IPv6Address", "builtins.type", "builtins.hex"),
        *("builtins.oct", "builtins.bin", "builtins.chr", "hmac.new", "hmac.digest", "os.getcwd"),
        *("secrets.token_hex", "secrets.token_urlsafe", "secrets.token_bytes", "os.urandom"),
        *("werkzeug.security.generate_password_hash", "bcrypt.hashpw", "argon2.PasswordHasher"),
        *("flask.url_for", "flask.abort", "django.urls.reverse", "os.stat", "os.path.getsize"),
        *("psycopg2.sql.Identifier", "psycopg2.sql.Literal", "psycopg.sql.Identifier"),
        *("psycopg.sql.Literal", "logging.getLogger", "logging.info", "logging.warning"),
        *("logging.error", "logging.debug", "logging.exception", "logging.critical"),
        *("builtins.print", "builtins.super", "flask.render_template", "django.shortcuts.render"),
        *("time.sleep", "enum.Enum", "boto3.client", "boto3.resource", "os.environ.get"),
        *("os.getenv", "flask.jsonify", "django.http.JsonResponse", "sqlalchemy.bindparam"),
    )
)
PREFIXES = (
    *("hashlib.", "secrets.", "logging.", "time.", "bcrypt.", "warnings.", "gc.", "pytest."),
    "boto3.dynamodb.conditions.",  # whose values are never part of an expression
)
METHODS = frozenset(
    (
        *("hexdigest", "digest", "fetchone", "fetchall", "fetchmany", "execute", "executemany"),
        *("info", "debug", "warning", "error", "exception", "critical", "commit", "rollback"),
        *("get_item", "put_item", "query", "scan", "invoke", "send_message", "publish"),
        *("generate_presigned_url", "generate_presigned_post", "execute_statement"),
        *("batch_execute_statement", "start_query_execution", "get_query_results"),
        *("timestamp", "isoformat", "strftime", "total_seconds", "get_object", "put_object"),
        *("status_code", "json", "getcode", "raise_for_status", "communicate", "wait", "poll"),
        *("list_objects_v2", "head_object", "exists", "is_file", "is_dir", "stat", "read_text"),
        *("read_bytes", "write_text", "write_bytes", "rowcount", "lastrowid"),
    )
)
"""Methods of objects of libraries that give what is inside, not what they were given."""
_NEVER = frozenset(
    ("sys.exit", "os._exit", "builtins.exit", "builtins.quit", "os.abort", "flask.abort")
)


def never_returns(name: str) -> bool:
    """Return whether nothing comes after a call."""
    return name in _NEVER


def is_clean(name: str) -> bool:
    """Return whether the result of a call is nobody's choice."""
    return name in OTHERS or name.startswith(PREFIXES)
