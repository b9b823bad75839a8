"""Looks for what settings of Django and Flask leave open: keys, cookies, hosts, forged requests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from casemate.audit.code.reading import PythonFile
from casemate.audit.rules.looks import argument, is_value
from casemate.audit.syntax import first, walk

Found = Iterator[tuple[ast.AST, str]]
DJANGO = re.compile(r"^(?:INSTALLED_APPS|ROOT_URLCONF|MIDDLEWARE)\b", re.M)
STAGES = re.compile(r"(?:^|[/_.-])(?:dev|local|test|development|debug|ci)(?:[/_.-]|$)", re.I)
"""Files of settings for one's own machine."""
_FILES = re.compile(r"(?:^|/)(?:settings|config)/\w{1,80}\.py$|(?:settings|config)\w{0,40}\.py$")
_CLASSES = re.compile(r"(?:Config|Configuration|Settings)$")
_ASKED = re.compile(r"debug|dev|local|test|stage|prod|env|offline", re.I)
_OWN = re.compile(r"dev|test|local|debug", re.I)
_VIEWS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BLOCKS = (ast.If, ast.IfExp)
_MAX_ASKED = 100
"""Parts of a condition, and characters of each, in which a stage is looked for."""


class Setting(NamedTuple):
    """A value that a setting is given, and where."""

    name: str
    value: ast.expr
    node: ast.AST
    default: bool = False
    """True of a field that the environment of the program replaces where it has one."""


def by_stage(file: PythonFile) -> set[int]:
    """Return what stands where a stage is asked for, or in a class for one's own machine."""
    found: set[int] = set()
    for node in file.nodes:
        if id(node) in found:
            continue
        own = isinstance(node, ast.ClassDef) and _OWN.search(node.name)
        if own or (isinstance(node, _BLOCKS) and _asks(node.test)):
            found.update(map(id, walk(node)))
    return found


def _asks(test: ast.expr) -> bool:
    """Tell whether a condition names a stage: conditions stand in conditions, so it is bounded."""
    for each in first(test, _MAX_ASKED):
        for name in ("id", "attr", "arg", "value"):
            said = getattr(each, name, None)
            if isinstance(said, str) and _ASKED.search(said[:_MAX_ASKED]):
                return True
    return False


def settings(file: PythonFile) -> Iterator[Setting]:
    """Yield the settings of a framework that a file gives: those of a stage are left out."""
    if STAGES.search(file.file):
        return
    staged = by_stage(file)
    plain = DJANGO.search(file.text) is not None or _FILES.search(file.file) is not None
    inside: dict[int, bool] = {}
    for node in file.nodes:
        if isinstance(node, ast.ClassDef) and _CLASSES.search(node.name):
            by_environment = any("BaseSettings" in ast.unparse(base) for base in node.bases)
            inside.update((id(each), by_environment) for each in node.body)
    for node in file.nodes:
        if id(node) in staged:
            continue
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = plain or id(node) in inside
            for target in targets:
                name = _name_of(file, target, named)
                if name:
                    yield Setting(name, node.value, node, inside.get(id(node), False))
        elif isinstance(node, ast.Call) and _updates(node):
            yield from _given(node)


def _name_of(file: PythonFile, target: ast.expr, named: bool) -> str:
    if isinstance(target, ast.Name):
        return target.id if named else ""
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        of = file.name(target.value)
        return str(target.slice.value) if of.rpartition(".")[2] == "config" else ""
    return target.attr if isinstance(target, ast.Attribute) else ""


def _updates(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in ("update", "from_mapping"):
        return False
    of = function.value
    return getattr(of, "attr", getattr(of, "id", "")) == "config"


def _given(call: ast.Call) -> Iterator[Setting]:
    for each in call.keywords:
        if each.arg is not None:
            yield Setting(each.arg, each.value, each.value)
    for held in call.args[:1]:
        for key, value in _pairs(held):
            if isinstance(key, ast.Constant):
                yield Setting(str(key.value), value, value)


def _pairs(node: ast.expr) -> Iterator[tuple[ast.expr | None, ast.expr]]:
    if isinstance(node, ast.Dict):
        yield from zip(node.keys, node.values, strict=True)


# -- keys ------------------------------------------------------------------------------------------

_KEYS = ("secret_key", "jwt_secret_key")
_FALLING_BACK = re.compile(
    r"(?:\w{0,40}_)?(?:secret_key|jwt_secret(?:_key)?|session_secret|signing_key|session_key)$",
    re.I,
)
_READERS = re.compile(
    r"^(?:os\.getenv|os\.environ\.get|environ\.get|env(?:\.str|\.get)?|(?:decouple\.)?config"
    r"|environs?\.Env\(\)(?:\.str)?)$"
)
_SHORTEST = 4


def secret_key(file: PythonFile) -> Found:
    """Find keys of sessions that stand in the code."""
    every = list(settings(file)) if "secret_key" in file.text.lower() else []
    read = {each.name for each in every if _text(each.value) is None}
    for each in every:
        written = _text(each.value) is not None and not each.default
        if each.name.lower() in _KEYS and written and each.name not in read:
            yield each.node, "sessions are signed with a key that is in the code"


def fallback_key(file: PythonFile) -> Found:
    """Find keys in the code that are taken where a variable of the environment is not set."""
    if STAGES.search(file.file) or not re.search("secret|sign|session", file.text, re.I):
        return
    what = "if the variable is not set, a key in the code signs sessions and tokens"
    staged = by_stage(file)
    for node in file.nodes:
        targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or id(node) in staged:
            continue
        names = [getattr(each, "id", getattr(each, "attr", "")) for each in targets]
        names += [str(each.slice.value) for each in targets if _is_item(each)]
        if any(map(_FALLING_BACK.match, names)) and _falls_back(file, node.value):
            yield node, what
    for each in settings(file):
        kept = each.default and _text(each.value) is not None
        inner = not isinstance(each.node, (ast.Assign, ast.AnnAssign))
        if _FALLING_BACK.match(each.name) and (kept or (inner and _falls_back(file, each.value))):
            yield each.node, what


def _is_item(target: ast.expr | None) -> bool:
    return isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant)


def _falls_back(file: PythonFile, value: ast.expr | None) -> bool:
    """Tell whether a text of the code is taken where the environment has none."""
    if isinstance(value, ast.BoolOp) and isinstance(value.op, ast.Or):
        first, last = value.values[0], value.values[-1]
        return _text(last) is not None and _reads(file, first) is not None
    call = _reads(file, value)
    if call is None:
        return False
    default = call.args[1] if len(call.args) > 1 else argument(call, "default")
    return _text(default) is not None


def _reads(file: PythonFile, value: ast.expr | None) -> ast.Call | None:
    called = isinstance(value, ast.Call) and _READERS.match(file.name(value.func))
    return value if called and isinstance(value, ast.Call) else None


def _text(node: ast.expr | None) -> str | bytes | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (str, bytes)) and len(value) >= _SHORTEST else None


# -- cookies, hosts, forged requests ---------------------------------------------------------------

_FLAGS = {
    "SESSION_COOKIE_SECURE": "the session's cookie is sent without encryption, too",
    "CSRF_COOKIE_SECURE": "the cookie against forged requests is sent without encryption, too",
    "REMEMBER_COOKIE_SECURE": "the cookie of a sign-in is sent without encryption, too",
    "JWT_COOKIE_SECURE": "the cookie of a token is sent without encryption, too",
    "SESSION_COOKIE_HTTPONLY": "scripts of a page can read the session's cookie",
    "REMEMBER_COOKIE_HTTPONLY": "scripts of a page can read the cookie of a sign-in",
}


def open_cookies(file: PythonFile) -> Found:
    """Find settings that leave cookies of sessions without protection."""
    if "COOKIE_" in file.text:
        for each in settings(file):
            if each.name in _FLAGS and is_value(each.value, False):
                yield each.node, _FLAGS[each.name]


def any_host(file: PythonFile) -> Found:
    """Find settings of Django that take every name for its own."""
    if "ALLOWED_HOSTS" in file.text and DJANGO.search(file.text):
        for each in settings(file):
            held = each.value.elts if isinstance(each.value, (ast.List, ast.Tuple)) else ()
            if each.name == "ALLOWED_HOSTS" and any(is_text(one, "*") for one in held):
                yield each.node, "requests for any host are answered, and links lead to that host"


def is_text(node: ast.AST | None, text: str) -> bool:
    """Tell whether a node is this text, written out."""
    return isinstance(node, ast.Constant) and node.value == text


_CSRF = "django.middleware.csrf.CsrfViewMiddleware"


def unguarded(file: PythonFile) -> Found:
    """Find settings that let requests be forged: sessions by cookies, and nothing against it."""
    if "SessionMiddleware" in file.text and "MIDDLEWARE" in file.text:
        added = re.search(r"MIDDLEWARE\s{0,5}(?:\+=|\.(?:append|insert|extend))", file.text)
        for each in settings(file):
            held = each.value.elts if isinstance(each.value, (ast.List, ast.Tuple)) else ()
            names = [str(getattr(one, "value", "")) for one in held]
            plain = all(isinstance(one, ast.Constant) for one in held)
            signed_in = any(name.endswith(".AuthenticationMiddleware") for name in names)
            guarded = any("csrf" in name.lower() for name in names)
            if each.name == "MIDDLEWARE" and plain and signed_in and not guarded and not added:
                yield each.node, f"requests can be forged: {_CSRF} is left out"
    if "WTF_CSRF" in file.text:
        for each in settings(file):
            named = each.name in ("WTF_CSRF_ENABLED", "WTF_CSRF_CHECK_DEFAULT")
            if named and is_value(each.value, False):
                yield each.node, "requests can be forged: forms are not checked"


_CHANGING = frozenset(
    ("save", "delete", "create", "update", "bulk_create", "get_or_create", "update_or_create")
)
_WHO = re.compile(
    r"\brequest\.(?:user|session|COOKIES)\b|login_required|permission_required"
    r"|user_passes_test|LoginRequired|PermissionRequired|\blogin\(request"
)
"""How a view knows who sends a request, by the cookies that a browser sends by itself."""
_SENT = frozenset(("POST", "FILES", "body", "data"))
_OF_VIEWS = re.compile(r"csrf_exempt|require_|never_cache|transaction\.atomic")
_SECRET_PLACES = re.compile(r"code|uuid|token|key|secret", re.I)
_PROVING = re.compile(
    r"signature|signed|verif|hmac|compare_digest|construct_event|authoriz|api_?key|bearer|jwt"
    r"|x_hub|webhook_secret|check_token|token_required|basic_?auth|permission_classes",
    re.I,
)
"""What is not proved by a cookie: nobody's browser sends it by itself."""
_READING = re.compile(r"require_(?:GET|safe)\b|require_http_methods\(\[[^\]]{0,60}\]\)")


def exempted(file: PythonFile) -> Found:
    """Find views that change something for requests that any page can make a browser send."""
    if "csrf_exempt" not in file.text or STAGES.search(file.file):
        return
    views = _Views(file)
    within: set[int] = set()  # a view: what it does is said of it
    for node in file.nodes:
        if isinstance(node, _VIEWS) and id(node) not in within:
            given = [ast.unparse(each) for each in node.decorator_list]
            exempt = next((at for at, each in enumerate(given) if "csrf_exempt" in each), None)
            reads = any(_READING.match(each) and "POST" not in each for each in given)
            if exempt is None or reads or _PROVING.search(" ".join(given)):
                continue
            within.update(id(each) for each in walk(node) if isinstance(each, _VIEWS))
            if not views.say(_PROVING, node) and _is_at_stake(views, node, given):
                yield node.decorator_list[exempt], "pages of other sites can send this request"


def _is_at_stake(views: _Views, node: ast.stmt, given: list[str]) -> bool:
    """Tell whether a view does for who is signed in what a page asks for, or may do so.

    Where it asks for nobody, something before it may have: then it has to change something itself,
    and to be named by no secret.
    """
    if views.say(_WHO, node) or _WHO.search(" ".join(given)):
        return _changes(node, taken=True)
    arguments = [each.arg for each in walk(node) if isinstance(each, ast.arg)]
    secret = any(_SECRET_PLACES.search(each) for each in arguments)
    others = any(not _OF_VIEWS.search(each) for each in given)
    return not secret and not others and _changes(node, taken=False)


_MAX_LINES = 200
"""Of a function that views call: what it does stands in these."""


class _Views:
    """What views of a file say, with the functions of the file that they call by name."""

    def __init__(self, file: PythonFile) -> None:
        """Find the functions that may be called."""
        self._lines = file.lines
        self._called = {
            each.name: each
            for each in file.nodes
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        self._said: dict[tuple[re.Pattern[str], str], bool] = {}

    def say(self, what: re.Pattern[str], view: ast.stmt) -> bool:
        """Tell whether something stands in a view, or in what it calls: read once for all."""
        if what.search("\n".join(self._lines[view.lineno - 1 : view.end_lineno])):
            return True
        names = (getattr(each.func, "id", "") for each in walk(view) if isinstance(each, ast.Call))
        return any(self._says(what, name) for name in names if name in self._called)

    def _says(self, what: re.Pattern[str], name: str) -> bool:
        key = (what, name)
        if key not in self._said:
            each = self._called[name]
            lines = self._lines[each.lineno - 1 : each.end_lineno][:_MAX_LINES]
            self._said[key] = what.search("\n".join(lines)) is not None
        return self._said[key]


def _changes(node: ast.AST, *, taken: bool) -> bool:
    """Tell whether a view changes something, by what it calls; `taken`: or by what it takes."""
    for each in walk(node):
        of = each.value if isinstance(each, ast.Attribute) and each.attr in _SENT else None
        if taken and getattr(of, "id", getattr(of, "attr", "")) == "request":
            return True
        if isinstance(each, ast.Call) and getattr(each.func, "attr", "") in _CHANGING:
            return True
    return False
