"""Calls that make data safe for some sinks, or take characters out of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from casemate.audit.flow import characters, texts
from casemate.audit.flow.ports import Arguments, Reader
from casemate.audit.flow.state import State
from casemate.audit.flow.values import (
    Const,
    Taint,
    Taints,
    Text,
    Value,
    few,
    join,
    known_text,
    options,
    text_of,
)

NORMAL = "normal path"
"""Of a path in which no `..` is left, so that how it begins tells where it is."""
_MARKUP = frozenset(("<", ">", "'", '"'))
_ENCODED = characters.all_but("+/=-_a")
_HEX = characters.PLAIN

_WITHOUT: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        (
            *("html.escape", "markupsafe.escape", "flask.escape", "cgi.escape", "bleach.clean"),
            *("django.utils.html.escape", "django.utils.html.conditional_escape", "nh3.clean"),
            *("markupsafe.escape_silent", "jinja2.escape", "xml.sax.saxutils.quoteattr"),
            *("werkzeug.utils.escape", "tornado.escape.xhtml_escape", "mako.filters.html_escape"),
            *("django.utils.html.strip_tags", "jinja2.utils.escape", "bleach.linkify"),
        ),
        _MARKUP,
    ),
    "xml.sax.saxutils.escape": frozenset(("<", ">")),
    "urllib.parse.quote": characters.all_but("/_.-~%"),
    "urllib.parse.quote_plus": characters.all_but("_.-~+%"),
    "urllib.quote": characters.all_but("/_.-~%"),
    "urllib.quote_plus": characters.all_but("_.-~+%"),
    "urllib.parse.urlencode": characters.all_but("_.-~+%=&"),
    **dict.fromkeys(
        ("werkzeug.utils.secure_filename", "werkzeug.secure_filename"),
        characters.all_but("_.-a") | {".."},
    ),
    "os.path.basename": frozenset(("/", "../")),
    "ntpath.basename": frozenset(("/", "\\", "../")),
    "posixpath.basename": frozenset(("/", "../")),
    "pathvalidate.sanitize_filename": frozenset(("/", "\\", "../")),
    "django.utils.text.get_valid_filename": frozenset(("/", "\\", "../")),
    "django.utils.text.slugify": characters.all_but("-_"),
    "slugify.slugify": characters.all_but("-_"),
    **dict.fromkeys(
        (
            *("ldap3.utils.conv.escape_filter_chars", "ldap.filter.escape_filter_chars"),
            *("ldap.filter.filter_format",),
            *("ldap.dn.escape_dn_chars", "ldap3.utils.dn.escape_rdn", "bonsai.escape_filter_exp"),
        ),
        frozenset(("(", ")", "*", "\0")),
    ),
    **dict.fromkeys(
        (
            *("pymysql.converters.escape_string", "MySQLdb.escape_string", "pymysql.escape_string"),
            *("psycopg2.extensions.adapt", "psycopg2.extensions.quote_ident"),
        ),
        frozenset(("'", '"')),
    ),
    **dict.fromkeys(
        (
            *("base64.b64encode", "base64.urlsafe_b64encode", "base64.standard_b64encode"),
            *("base64.b32encode", "base64.encodebytes"),
        ),
        _ENCODED,
    ),
    **dict.fromkeys(("binascii.hexlify", "base64.b16encode"), _HEX),
    "json.dumps": frozenset(("\n", "\r")),
    "ujson.dumps": frozenset(("\n", "\r")),
    "orjson.dumps": frozenset(("\n", "\r")),
    "builtins.repr": frozenset(("\n", "\r")),
    "builtins.ascii": frozenset(("\n", "\r")),
}
_SAFE: dict[str, frozenset[str]] = {
    "shlex.quote": frozenset(("command",)),
    "pipes.quote": frozenset(("command",)),
    "shlex.join": frozenset(("command",)),
    "re.escape": frozenset(("regex",)),
    "os.path.realpath": frozenset((NORMAL,)),
    "os.path.abspath": frozenset((NORMAL,)),
    "os.path.normpath": frozenset((NORMAL,)),
    "werkzeug.utils.safe_join": frozenset(("path",)),
    "werkzeug.security.safe_join": frozenset(("path",)),
    "flask.safe_join": frozenset(("path",)),
    "django.utils._os.safe_join": frozenset(("path",)),
    "ast.literal_eval": frozenset(("code",)),
    "urllib.parse.urlencode": frozenset(("url",)),
    "bleach.clean": frozenset(("markup",)),
    "nh3.clean": frozenset(("markup",)),
    "mogrify": frozenset(("sql",)),
    **dict.fromkeys(
        (
            *("cryptography.fernet.Fernet().decrypt", "cryptography.fernet.MultiFernet().decrypt"),
            *("itsdangerous.URLSafeSerializer().loads", "itsdangerous.Serializer().loads"),
            *("itsdangerous.URLSafeTimedSerializer().loads", "itsdangerous.Signer().unsign"),
            *("itsdangerous.TimestampSigner().unsign", "itsdangerous.TimedSerializer().loads"),
        ),
        frozenset(("deserialisation",)),  # who has the key wrote it
    ),
}
_PARTS = frozenset(
    (
        *("os.path.basename", "ntpath.basename", "posixpath.basename", "os.path.realpath"),
        *("os.path.abspath", "os.path.normpath", "ast.literal_eval"),
    )
)
"""Those that leave no sign that was not there."""
_LOOKS = ("escape", "sanitize", "sanitise", "clean", "quote", "validate", "purify")
SAME = frozenset(
    (
        *("builtins.str", "builtins.bytes", "copy.copy", "copy.deepcopy", "typing.cast"),
        *("asyncio.run", "asyncio.ensure_future", "asyncio.create_task", "asyncio.wait_for"),
        *("builtins.iter", "builtins.memoryview", "asyncio.shield", "builtins.bytearray"),
        *("sys.intern", "os.fspath", "os.fsencode", "os.fsdecode"),
        *("six.text_type", "django.utils.encoding.force_str", "django.utils.encoding.smart_str"),
    )
)
"""Calls that give what they were given."""


def result(reader: Reader, name: str, given: Arguments, state: State, node: object) -> Value | None:
    """Return what comes of a call that makes data safe; None if it is no such call."""
    without, safe = _WITHOUT.get(name), _SAFE.get(name)
    if without is None and safe is None:
        return None
    if name in ("urllib.parse.quote", "urllib.quote"):
        allowed = given.get(1, "safe")
        if isinstance(allowed, Const) and isinstance(allowed.value, str):
            without = characters.all_but("_.-~%" + allowed.value)
    if name == "html.escape" and given.get(1, "quote") == Const(False):
        without = frozenset(("<", ">"))
    value = given.get(0, "s", "string", "text", "path", "filename") or Const("")
    marked = (name, without or frozenset(), safe or frozenset())
    return join(*(_marked(option, marked, state) for option in options(value)))


def _marked(value: Value, how: tuple[str, frozenset[str], frozenset[str]], state: State) -> Value:
    name, without, safe = how
    if isinstance(value, Const):
        if name in _PARTS or name.endswith("path"):
            return value
        text = known_text(value)
        same = text is not None and not any(sign in text for sign in without)
        return value if same and text and text.isalnum() else Text((frozenset(),))
    parts = value.parts if isinstance(value, Text) else (state.deep(value),)
    if name.startswith("os.path.") and name != "os.path.basename":
        # The whole is another text than its pieces: what is known of it later is of the whole.
        parts = (few(t for part in parts if not isinstance(part, str) for t in part),)
    return text_of(
        part if isinstance(part, str) else _safe(part, name, without, safe, state) for part in parts
    )


def _safe(
    taints: Taints, name: str, without: frozenset[str], safe: frozenset[str], state: State
) -> Taints:
    new = texts.derived(taints, state, name, part=name in _PARTS)
    return frozenset(
        replace(
            taint,
            without=taint.without | without,
            safe=taint.safe | safe,
            seen=(*taint.seen, name)[-6:],
        )
        for taint in new
    )


def noted(taints: Iterable[Taint], name: str) -> Taints:
    """Return data that went through a call whose name says that it may make it safe."""
    short = name.rpartition(".")[2].lower()
    if not any(look in short for look in _LOOKS):
        return few(taints)
    return few(replace(taint, seen=(*taint.seen, name)[-6:]) for taint in taints)


_OUTSIDE = {"\\D": "[^\\d]", "\\W": "[^\\w]", "\\s": "[\\s]"}
"""Classes of characters that are written without brackets."""


def replacing(pattern: str, by: str) -> frozenset[str]:
    """Return what a text cannot have after `re.sub("[^a-z]", by, text)`."""
    kept = pattern.removesuffix("+").removesuffix("*")
    kept = _OUTSIDE.get(kept, kept)
    if not (kept.startswith("[") and kept.endswith("]")) or "\\g" in by:
        return frozenset()
    if kept.startswith("[^"):
        inside = characters.by_expression(f"[{kept[2:]}*", whole=True)
        return frozenset(each for each in inside if each not in by)
    outside = characters.by_expression(f"[^{kept[1:]}*", whole=True)
    return frozenset(each for each in outside if each not in by)
