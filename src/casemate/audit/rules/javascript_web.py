"""What JavaScript leaves open to browsers: cookies of sessions, answers for any site, known tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.audit.javascript.script_file import (
    FUNCTIONS,
    ScriptFile,
    given,
    key_of,
    parameters,
    property_of,
    text_of,
)
from casemate.audit.javascript.syntax import Node
from casemate.audit.rules.guessable_tokens import guessed, is_token
from casemate.audit.rules.javascript_looks import SESSIONS, Found, by_stage, value_of
from casemate.audit.rules.python_cookies import FORGED, SENSITIVE, set_without, written_cookie
from casemate.audit.rules.secret_search import random

_WITH_COOKIES = "pages of any site may read it with cookies"
_ORIGIN, _CREDENTIALS = "access-control-allow-origin", "access-control-allow-credentials"
_CORS = re.compile(
    r"^(?:cors|@fastify/cors|fastify-cors|@koa/cors|koa-cors|koa2-cors|hono/cors\.cors"
    r"|@elysiajs/cors(?:\.cors)?)$|\.enableCors$"
)
_HEADER = re.compile(r"\.(?:header|setHeader|set|append)$")
_CONDITIONS = frozenset(("if_statement", "ternary_expression", "switch_statement"))
_ANY = ("*", ".*", "^.*$")


def open_answers(file: ScriptFile) -> Found:
    """Find answers that pages of every site may read with cookies."""
    for call, name, arguments in file.calls:
        made, options = name, arguments
        if name.endswith((".register", ".use")) and arguments:
            made, options = file.name(arguments[0]), arguments[1:]
        if _CORS.search(made) and any(_lets_in(file, each) for each in options[:2]):
            yield call, _WITH_COOKIES
    for node in file.kinds["pair"]:
        inner = node.get("value")
        if key_of(node) == "cors" and inner is not None and _lets_in(file, inner):
            yield node, _WITH_COOKIES
    for node in file.kinds["object"]:
        held = {key_of(each).lower(): each.get("value") for each in node.kids}
        if _ORIGIN in held and _is_true(held.get(_CREDENTIALS)):
            origin = held[_ORIGIN]
            if text_of(origin) == "*" or (_is_sent(file, origin) and not _is_asked(file, node)):
                yield node, _WITH_COOKIES
    yield from _by_headers(file)


def _lets_in(file: ScriptFile, options: Node) -> bool:
    """Tell whether options of CORS name no site and allow cookies."""
    found = value_of(file, options)
    if found is None or any(kid.kind == "spread_element" for kid in found.kids):
        return False
    if not _is_true(property_of(found, "credentials")):
        return False
    origin = property_of(found, "origin", "origins")
    origin = value_of(file, origin) if origin is not None else None
    if origin is None:
        return False
    if origin.kind == "true" or text_of(origin) in _ANY:
        return True
    if origin.kind == "regex":
        return any(each.text in (".*", "^.*$", ".") for each in origin.kids)
    return origin.kind in FUNCTIONS and _takes_any(file, origin)


def _takes_any(file: ScriptFile, function: Node) -> bool:
    """Tell whether a function says yes to every origin: it gives it back, or calls back `true`."""
    names, body = parameters(function), function.get("body")
    if body is not None and body.kind == "statement_block" and len(body.kids) == 1:
        only = body.kids[0]
        known = only.kind in ("return_statement", "expression_statement") and only.kids
        body = only.kids[0] if known else None
    if body is None or not names or not names[0]:
        return False
    if body.kind == "identifier":
        return body.text == names[0]
    if body.kind == "true":
        return True
    if body.kind == "call_expression" and len(names) > 1 and names[1]:
        told = given(body)
        called = file.name(body.get("function")) == names[1]
        return called and len(told) > 1 and _is_true(told[1])
    return False


def _is_true(node: Node | None) -> bool:
    return node is not None and (node.kind == "true" or text_of(node) == "true")


def _is_sent(file: ScriptFile, node: Node | None) -> bool:
    """Tell whether an origin is the one that a request says: `req.headers.origin`."""
    found = value_of(file, node) if node is not None else None
    if found is not None and found.marks[-1:] in (("||",), ("??",)):
        found = found.get("left")
    if found is None:
        return False
    if found.kind == "call_expression":
        first = text_of(next(iter(given(found)), None)) or ""
        name = file.name(found.get("function"))
        return first.lower() == "origin" and name.endswith((".get", ".header"))
    if found.kind == "subscript_expression":
        return (text_of(found.get("index")) or "").lower() == "origin"
    return file.name(found).lower().endswith("headers.origin")


def _function_of(file: ScriptFile, node: Node) -> Node | None:
    return next((each for each in file.around(node) if each.kind in FUNCTIONS), None)


def _is_asked(file: ScriptFile, node: Node) -> bool:
    """Tell whether the function that a node is in asks for the origin before."""
    function = _function_of(file, node)
    for each in file.below(function) if function is not None else ():
        condition = each.get("condition") if each.kind in _CONDITIONS else None
        if condition is not None:
            texts = [inner.text for inner in file.below(condition) if inner.text]
            if any("origin" in text.lower() or text in _ALLOWING for text in texts):
                return True
    return False


_ALLOWING = ("allowed", "isAllowed", "allow", "permitted", "trusted")


def _by_headers(file: ScriptFile) -> Found:
    """Find headers that are given one after the other in one function."""
    allowing: set[int] = set()
    origins: list[tuple[Node, Node]] = []
    for call, name, arguments in file.calls:
        if len(arguments) < 2 or not _HEADER.search(name):
            continue
        label = (text_of(arguments[0]) or "").lower()
        if label == _CREDENTIALS and _is_true(arguments[1]):
            allowing.add(id(_function_of(file, call)))
        elif label == _ORIGIN:
            origins.append((call, arguments[1]))
    for call, origin in origins if allowing else ():
        open_ = text_of(origin) == "*" or _is_sent(file, origin)
        if open_ and id(_function_of(file, call)) in allowing and not _is_asked(file, call):
            yield call, _WITH_COOKIES


# -- cookies ---------------------------------------------------------------------------------------

_SETTING = re.compile(r"^(?:res|resp|response|reply)\b.{0,60}\.(?:cookie|setCookie)$")
_OF_HONO = "hono/cookie.setCookie"


def cookies(file: ScriptFile) -> Found:
    """Find cookies of sessions that others can read."""
    for call, name, arguments in file.calls:
        lacking = ""
        if _SETTING.match(name) and len(arguments) > 1:
            lacking = _lacking(file, arguments)
        elif name == _OF_HONO and len(arguments) > 2:
            lacking = _lacking(file, arguments[1:])
        elif SESSIONS.match(name):
            lacking = _of_sessions(file, arguments)
        elif len(arguments) > 1 and (text_of(arguments[0]) or "").lower() == "set-cookie":
            lacking = written_cookie(_begun(arguments[1]))
        if lacking and not by_stage(file, call):
            yield call, lacking
    for pair in file.kinds["pair"]:
        value = pair.get("value")
        if value is not None and key_of(pair).lower() == "set-cookie":
            lacking = written_cookie(_begun(value))
            if lacking:
                yield pair, lacking


def _lacking(file: ScriptFile, arguments: list[Node]) -> str:
    named, value = arguments[0], arguments[1]
    shown = text_of(value_of(file, named)) or (file.name(named) if named.kind != "string" else "")
    said = file.name(value) if value.kind in ("identifier", "member_expression") else ""
    options = value_of(file, arguments[2]) if len(arguments) > 2 else None
    if text_of(value) == "" or not (SENSITIVE.search(shown) or SENSITIVE.search(said)):
        return ""
    if len(arguments) > 2 and (options is None or options.kind != "object"):
        return ""
    if options is not None and any(kid.kind == "spread_element" for kid in options.kids):
        return ""
    age = property_of(options, "maxAge") if options is not None else None
    if age is not None and age.text == "0":
        return ""
    wanted = ("secure",) if FORGED.search(shown) else ("secure", "httpOnly")
    lacking = [flag for flag in wanted if _is_off(options, flag)]
    return set_without(shown, lacking)


def _is_off(options: Node | None, flag: str) -> bool:
    """Tell whether a flag is not there, or false: what is only known while it runs may be true."""
    short = options is not None and any(kid.text == flag for kid in options.kids)
    set_ = property_of(options, flag) if options is not None else None
    return not short and (set_ is None or set_.kind == "false")


def _of_sessions(file: ScriptFile, arguments: list[Node]) -> str:
    """Say what sessions switch off of their cookies' protection."""
    for each in arguments[:2]:
        options = value_of(file, each)
        inner = property_of(options, "cookie") if options is not None else None
        for held in (options, value_of(file, inner) if inner is not None else None):
            off = [
                flag
                for flag in ("secure", "httpOnly")
                if held is not None
                and (found := property_of(held, flag)) is not None
                and found.kind == "false"
            ]
            if off:
                return f"the cookie of the session is set without {' and '.join(off)}"
    return ""


def _begun(node: Node) -> str:
    """Return a text with `x` for what is made while it runs; nothing for all else."""
    if node.kind not in ("string", "template_string"):
        return ""
    return "".join("x" if k.kind == "template_substitution" else k.text for k in node.kids)


# -- tokens ----------------------------------------------------------------------------------------


def guessable(file: ScriptFile) -> Found:
    """Find tokens that functions make of numbers which can be guessed."""
    drawn = [node for node, name, _ in file.calls if name == "Math.random"]
    makers: dict[str, Node] = {}
    for node in drawn:
        for around in file.around(node):
            name = _named(file, around) if around.kind in FUNCTIONS else ""
            if name and _is_returned(file, node, around):
                makers.setdefault(name, node)
                if is_token(name):
                    yield node, guessed(name)
            if around.kind in FUNCTIONS and name:
                break
    for node in file.kinds["variable_declarator"] if makers else ():
        own, value = node.get("name"), node.get("value")
        called = value is not None and value.kind == "call_expression"
        if own is None or value is None or not called or not is_token(own.text):
            continue
        if file.name(value.get("function")) in makers:
            yield node, guessed(own.text)


def _named(file: ScriptFile, function: Node) -> str:
    """Return the name of a function, or of what it is given to."""
    own = function.get("name")
    around = file.parent(function)
    if own is None and around is not None and around.kind in ("variable_declarator", "pair"):
        own = around.get("name") or around.get("key")
    if own is None and around is not None and around.kind == "assignment_expression":
        left = around.get("left")
        own = left.get("property") if left is not None and left.get("property") else left
    return own.text if own is not None else ""


def _is_returned(file: ScriptFile, node: Node, function: Node) -> bool:
    """Tell whether a call comes into what a function gives: by `return`, or as all that it is."""
    body = function.get("body")
    if body is not None and body.kind != "statement_block":
        return True
    inner = _returns(file, node, function)
    return inner or any(_is_added(each) for each in file.around(node) if each is not function)


def _returns(file: ScriptFile, node: Node, function: Node) -> bool:
    for each in file.around(node):
        if each is function:
            return False
        if each.kind == "return_statement":
            return True
    return False


def _is_added(node: Node) -> bool:
    """Tell whether a node adds to a text, a letter after the other: `text += LETTERS[...]`."""
    return node.kind == "augmented_assignment_expression" and "+=" in node.marks


def fallback_password(file: ScriptFile) -> Iterator[tuple[Node, str]]:
    """Find passwords in the code that are taken where a variable of the environment is not set."""
    for pair in file.kinds["pair"]:
        value = pair.get("value")
        if value is None or value.marks[-1:] not in (("||",), ("??",)):
            continue
        left, written = value.get("left"), text_of(value.get("right"))
        named = key_of(pair) in ("password", "passwd", "pass", "secret")
        read = left is not None and file.name(left).startswith("process.env.")
        if named and read and written is not None and random(written, least=2.8):
            yield pair, f"if the variable is not set, {key_of(pair)} is the one in the code"


LOOKS = {
    "open answers": open_answers,
    "cookies": cookies,
    "guessable": guessable,
    "fallback password": fallback_password,
}
"""By the names that rules know them by."""
