"""Looks for what Python answers without protection: cookies of sessions, answers for any site."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from casemate.audit.code.reading import PythonFile
from casemate.audit.rules.looks import argument, is_value, scopes
from casemate.audit.rules.python_settings import (
    STAGES,
    Found,
    by_stage,
    is_text,
    open_cookies,
    settings,
)
from casemate.audit.syntax import walk

SENSITIVE = re.compile(
    r"sess|(?:^|[_-])sid(?:$|[_-])|connect\.sid|token|auth|jwt|login|remember|credential"
    r"|user_?id\b",
    re.I,
)
"""Names of cookies that tell who somebody is."""
FORGED = re.compile(r"csrf|xsrf", re.I)
"""Names of those that scripts of a page have to read."""
_ALL_BY_PLACE = 7
_MAX_TEXT = 2_000


def cookies(file: PythonFile) -> Found:
    """Find cookies of sessions that others can read."""
    yield from open_cookies(file)
    if "cookie" not in file.text.lower() or STAGES.search(file.file):
        return
    staged = by_stage(file)
    for call, name in file.calls():
        if name.rpartition(".")[2] == "set_cookie" and id(call) not in staged:
            lacking = _lacking(file, call)
            if lacking:
                yield call, lacking
    for node in file.nodes:
        if isinstance(node, ast.Dict) and id(node) not in staged:
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and str(key.value).lower() == "set-cookie":
                    lacking = written_cookie(_begun(value))
                    if lacking:
                        yield value, lacking


def _lacking(file: PythonFile, call: ast.Call) -> str:
    """Say what a cookie of a session is set without; nothing if it is none, or of no lasting."""
    if any(each.arg is None for each in call.keywords) or len(call.args) >= _ALL_BY_PLACE:
        return ""
    given = [*call.args[:2], None, None]
    name = given[0] or argument(call, "key") or argument(call, "name")
    value = given[1] or argument(call, "value")
    shown = _shown(file, name)
    said = ast.unparse(value)[:200] if isinstance(value, (ast.Name, ast.Attribute)) else ""
    ended = is_text(value, "") or is_value(argument(call, "max_age"), 0) or value is None
    if ended or not (SENSITIVE.search(shown) or SENSITIVE.search(said)):
        return ""
    wanted = ("secure",) if FORGED.search(shown) else ("secure", "httponly")
    lacking = [
        flag
        for flag in wanted
        if argument(call, flag) is None or is_value(argument(call, flag), False)
    ]
    return set_without(shown, lacking)


def set_without(name: str, lacking: Sequence[str]) -> str:
    """Say which flags a cookie is set without; nothing if it has those that it is to have."""
    return f"the cookie {name[:40]} is set without {' and '.join(lacking)}" if lacking else ""


def _shown(file: PythonFile, node: ast.expr | None) -> str:
    found = _value(file, node)
    if isinstance(found, ast.Constant):
        return str(found.value)
    return ast.unparse(node)[:100] if isinstance(node, (ast.Name, ast.Attribute)) else ""


def _value(file: PythonFile, node: ast.expr | None) -> ast.expr | None:
    """Return a value, or the one that a name of the file stands for which is given once."""
    return file.constants.get(node.id, node) if isinstance(node, ast.Name) else node


def _begun(value: ast.expr) -> str:
    """Return what is written of a text, with `x` for what is made while it runs."""
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else ""
    parts = value.values if isinstance(value, ast.JoinedStr) else ()
    return "".join(str(each.value) if isinstance(each, ast.Constant) else "x" for each in parts)


def written_cookie(text: str) -> str:
    """Say what a cookie that is written as a header lacks; nothing if it is of no session."""
    name, _, rest = text[:_MAX_TEXT].partition("=")
    value, _, flags = rest.partition(";")
    held = flags.lower().replace(" ", "")
    ended = not value or "max-age=0" in held or "1970" in held
    if not rest or ended or not SENSITIVE.search(name):
        return ""
    wanted = ("secure",) if FORGED.search(name) else ("secure", "httponly")
    lacking = [flag for flag in wanted if flag not in held.split(";")]
    return set_without(name, lacking)


# -- answers for any site --------------------------------------------------------------------------

_WITH_COOKIES = "pages of any site may read it with the cookies of whoever opens them"
_STARLETTE = re.compile(r"(?:^|\.)CORSMiddleware$")
_FLASK = re.compile(r"^flask_cors\.(?:CORS|cross_origin)$|^CORS\.init_app$")
_ANY = ("*", ".*", "^.*$", "https?://.*", ".+")


def open_answers(file: PythonFile) -> Found:
    """Find answers that pages of every site may read with cookies."""
    text = file.text
    if "rigin" not in text and "CORS" not in text:
        return
    for node in file.nodes:
        if isinstance(node, ast.Dict) and _is_open(node):
            yield node, _WITH_COOKIES
    for call, name in file.calls() if "CORS" in text or "cross_origin" in text else ():
        if _opens(file, call, name):
            yield call, _WITH_COOKIES
    if "CORS_ALLOW_CREDENTIALS" in text:
        given = {each.name: each for each in settings(file)}
        allows = given.get("CORS_ALLOW_CREDENTIALS")
        for name in ("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL"):
            every = given.get(name)
            if allows and every and is_value(allows.value, True) and is_value(every.value, True):
                yield every.node, _WITH_COOKIES
    if "llow-Origin" in text:
        yield from _reflected(file)


def _is_open(node: ast.Dict) -> bool:
    found = {
        str(k.value).lower(): v
        for k, v in zip(node.keys, node.values, strict=True)
        if isinstance(k, ast.Constant)
    }
    origin = found.get("access-control-allow-origin")
    credentials = found.get("access-control-allow-credentials")
    allowed = isinstance(credentials, ast.Constant) and str(credentials.value).lower() == "true"
    return allowed and (is_text(origin, "*") or _is_sent_origin(origin))


def _is_sent_origin(node: ast.AST | None) -> bool:
    """Tell whether an origin is the one that a request says: `request.headers["Origin"]`."""
    found = node
    if isinstance(found, ast.BoolOp) and found.values:
        found = found.values[0]
    if isinstance(found, ast.Subscript):
        return str(getattr(found.slice, "value", "")).lower() == "origin"
    if isinstance(found, ast.Call) and getattr(found.func, "attr", "") == "get" and found.args:
        return str(getattr(found.args[0], "value", "")).lower() == "origin"
    return False


def _reflected(file: PythonFile) -> Found:
    """Find headers that are given one after the other, in one function without a condition."""
    for scope in scopes(file):
        given: dict[str, ast.Assign] = {}
        for node in scope:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                given.setdefault(str(target.slice.value).lower(), node)  # type: ignore[arg-type]
        origin = given.get("access-control-allow-origin")
        allows = given.get("access-control-allow-credentials")
        asked = any("origin" in ast.unparse(e.test).lower() for e in scope if isinstance(e, ast.If))
        if origin is None or allows is None or asked:
            continue
        allowed = str(getattr(allows.value, "value", "")).lower() == "true"
        if allowed and (is_text(origin.value, "*") or _is_sent_origin(origin.value)):
            yield origin, _WITH_COOKIES


def _opens(file: PythonFile, call: ast.Call, name: str) -> bool:
    """Tell whether a call lets pages of every site in, with cookies."""
    first = file.name(call.args[0]) if call.args else ""
    if _STARLETTE.search(name) or (
        name.rpartition(".")[2] in ("add_middleware", "Middleware") and _STARLETTE.search(first)
    ):
        origins, pattern = argument(call, "allow_origins"), argument(call, "allow_origin_regex")
        every = _is_every(file, origins) or _is_every(file, pattern)
        return every and is_value(_value(file, argument(call, "allow_credentials")), True)
    if _FLASK.match(name) and is_value(argument(call, "supports_credentials"), True):
        if any(each.arg is None for each in call.keywords):
            return False
        resources, origins = argument(call, "resources"), argument(call, "origins")
        if resources is not None:
            held = [_value(file, v) for v in walk(resources) if isinstance(v, ast.Dict)]
            named = [
                value
                for each in held
                if isinstance(each, ast.Dict)
                for key, value in zip(each.keys, each.values, strict=True)
                if is_text(key, "origins")
            ]
            return any(_is_every(file, each) for each in named)
        return origins is None or _is_every(file, origins)
    return False


def _is_every(file: PythonFile, node: ast.expr | None) -> bool:
    found = _value(file, node)
    if isinstance(found, (ast.List, ast.Tuple, ast.Set)):
        return any(isinstance(one, ast.Constant) and one.value in _ANY for one in found.elts)
    return isinstance(found, ast.Constant) and found.value in _ANY
