"""Answers of JavaScript that have an error's text or trace in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.audit.javascript.script_file import (
    FUNCTIONS,
    ScriptFile,
    given,
    parameters,
    property_of,
    text_of,
)
from casemate.audit.javascript.syntax import Node
from casemate.audit.rules.javascript_looks import (
    COMPARED,
    Found,
    asks_stage,
    by_stage,
    caught_by,
    errors,
    is_logger,
)

_TRACE, _TEXT = "trace", "text"
ANSWERS = re.compile(
    r"^(?:res|resp|response|reply|c|ctx|context)\b.{0,60}"
    r"\.(?:send|json|jsonp|end|write|text|html|succeed|status\(\)\.json|render)$"
    r"|^(?:Next)?Response(?:\.json)?$|(?:^|\.)res\.(?:send|json|end)$"
)
BACK = ("callback", "cb", "done")
_ASSIGNED = re.compile(
    r"^(?:(?:ctx|res|response|reply|context\.res|this)\.body|(?:request|handler)\.response)$"
)
_MADE_OF = (
    *("JSON.stringify", "String", "util.inspect", "inspect", "serializeError", "Object.assign"),
    "Buffer.from",
)
_KEPT = frozenset(("toString", "trim", "slice", "substring", "split", "replace", "concat", "join"))


def told_traces(file: ScriptFile) -> Found:
    """Find traces of errors in answers."""
    return _told(file, _TRACE, "the trace of an error is in the answer")


def told_errors(file: ScriptFile) -> Found:
    """Find texts of errors in answers."""
    return _told(file, _TEXT, "the text of an error is in the answer")


def _told(file: ScriptFile, wanted: str, what: str) -> Found:
    for handler, name in (*errors(file), *_after_errors(file)):
        names = {name: ""}
        for node in _inside(file, handler):
            left, value = (
                node.get("name") or node.get("left"),
                node.get("value") or node.get("right"),
            )
            if node.kind in ("variable_declarator", "assignment_expression") and value is not None:
                told = _tells(file, value, names)
                if told and left is not None and left.kind == "identifier":
                    names[left.text] = told
        for node, answer in _answers(file, handler):
            shown = [_tells(file, part, names) for part in _shown(answer)]
            if wanted in shown and not by_stage(file, answer):
                yield node, what


def _after_errors(file: ScriptFile) -> Iterator[tuple[Node, str]]:
    """Yield what middy calls for an error, and what the error is called there."""
    for function, names in file.functions:
        around = file.parent(function)
        own = around.get("name") or around.get("key") if around is not None else None
        if names and names[0] and own is not None and own.text == "onError":
            yield function, f"{names[0]}.error"


def _inside(file: ScriptFile, handler: Node) -> Iterator[Node]:
    """Yield what runs for any error: nothing for errors of one class alone, which say what is meant."""
    body = handler.get("body")
    todo = [body] if body is not None else []
    while todo:
        node = todo.pop()
        file.spend()
        yield node
        kids = node.kids
        if node.kind == "if_statement" and _of_class(file, node.get("condition")):
            kids = [kid for kid in kids if kid is not node.get("consequence")]
        todo += reversed(kids)


def _of_class(file: ScriptFile, condition: Node | None) -> bool:
    """Tell whether a condition asks for a class of errors of one's own, or for a field of theirs."""
    for each in file.below(condition) if condition is not None else ():
        right = each.get("right")
        if "instanceof" in each.marks and right is not None and right.text != "Error":
            return True
        if each.kind == "property_identifier" and each.text in (
            *("name", "code", "statusCode", "status", "type", "expose", "isOperational", "isBoom"),
            *("isJoi", "errorType", "isAxiosError"),
        ):
            return True
    return False


def _answers(file: ScriptFile, handler: Node) -> Iterator[tuple[Node, Node]]:
    """Yield what is answered in what handles an error: where, and with what."""
    body = handler.get("body")
    catches = handler.kind == "catch_clause" or caught_by(file, handler)
    if body is not None and body.kind != "statement_block" and catches:
        yield body, body
    for node in _inside(file, handler):
        if node.kind == "return_statement" and node.kids:
            if catches or _is_answer(node.kids[0]):
                yield node, node.kids[0]
        elif node.kind in ("call_expression", "new_expression"):
            name = file.name(node.get("function") or node.get("constructor"))
            arguments = given(node)
            if ANSWERS.search(name):
                for each in arguments:
                    yield node, each
            elif name in BACK and len(arguments) > 1:
                yield node, arguments[1]
        elif node.kind == "assignment_expression":
            left, right = node.get("left"), node.get("right")
            if right is not None and _ASSIGNED.match(file.name(left)):
                yield node, right


def _is_answer(node: Node) -> bool:
    return node.kind == "object" and property_of(node, "body", "statusCode") is not None


_SHOWN = frozenset(("body", "headers", "multiValueHeaders", "cookies", "statusCode"))


def _shown(answer: Node) -> list[Node]:
    """Return what of an answer reaches who asked: beside a status, API Gateway passes on no more."""
    if answer.kind != "object" or property_of(answer, "statusCode") is None:
        return [answer]
    pairs = ((kid, kid.get("key") or kid) for kid in answer.kids)
    return [kid for kid, key in pairs if key.kind == "spread_element" or _name(key) in _SHOWN]


def _name(key: Node) -> str | None:
    return key.text if key.text else text_of(key)


def _tells(file: ScriptFile, value: Node, names: dict[str, str], *, within: bool = False) -> str:
    """Return whether an expression has the text of an error in it, or its trace, or nothing."""
    found = ""
    todo: list[tuple[Node, bool]] = [(value, False)]
    while todo and found != _TRACE:
        node, as_text = todo.pop()
        file.spend()
        kind, told = node.kind, ""
        if kind in ("identifier", "shorthand_property_identifier") and node.text in names:
            plain = names[node.text] or (_TEXT if as_text else "")
            told = plain if node is not value or names[node.text] else ""
        elif kind == "member_expression":
            told = _field(file, node, names)
        elif kind in ("call_expression", "new_expression"):
            told = "" if within else _by_helper(file, node, names)
            todo += _of_call(file, node)
        elif kind == "pair":
            inner = node.get("value")
            todo += [(inner, True)] if inner is not None else []
        elif kind == "ternary_expression":
            todo += [(kid, as_text) for kid in node.kids[1:] if not asks_stage(file, node.kids[0])]
        elif kind == "binary_expression":
            if not COMPARED.intersection(node.marks):
                kids = node.kids
                if "&&" in node.marks:  # only the right side is what comes out, and not always
                    kids = [] if asks_stage(file, node.kids[0]) else node.kids[-1:]
                todo += [(kid, as_text or "+" in node.marks) for kid in kids]
        elif kind == "object":
            todo += [(kid, True) for kid in node.kids if kid.kind != "method_definition"]
        elif kind not in FUNCTIONS and kind != "unary_expression":
            todo += [(kid, as_text or "template" in kind) for kid in node.kids]
        found = told or found
    return found


def _field(file: ScriptFile, node: Node, names: dict[str, str]) -> str:
    """Return what a field of an error tells, if it is one."""
    owner, last = node.get("object"), node.get("property")
    if owner is None or last is None or not _is_error(file, owner, names):
        return ""
    around = file.parent(node)
    if around is not None and around.kind == "member_expression":
        asked = around.get("property")
        if asked is None or asked.text not in _KEPT:
            return ""
    return {"stack": _TRACE, "message": _TEXT}.get(last.text, "")


def _is_error(file: ScriptFile, node: Node, names: dict[str, str]) -> bool:
    """Tell whether a node is a name of an error, or what middy has of it: `request.error`."""
    return node.text in names if node.kind == "identifier" else file.name(node) in names


def _by_helper(file: ScriptFile, call: Node, names: dict[str, str]) -> str:
    """Return what a function of the file tells of an error that it is given."""
    callee = call.get("function")
    if callee is None or callee.kind != "identifier":
        return ""
    found = ""
    for at, argument in enumerate(given(call)):
        if argument.kind != "identifier" or names.get(argument.text) != "":
            continue
        for function in _named(file, callee.text):
            taken = parameters(function)[at : at + 1]
            if taken and taken[0]:
                for answer in _returned(file, function):
                    found = _tells(file, answer, {taken[0]: ""}, within=True) or found
    return found


def _named(file: ScriptFile, name: str) -> Iterator[Node]:
    """Yield the functions of a file that have a name."""
    for function, _ in file.functions:
        own, around = function.get("name"), file.parent(function)
        if own is None and around is not None and around.kind == "variable_declarator":
            own = around.get("name")
        if own is not None and own.text == name:
            yield function


def _returned(file: ScriptFile, function: Node) -> Iterator[Node]:
    body = function.get("body")
    if body is not None and body.kind != "statement_block":
        yield body
    for node in file.below(function):
        if node.kind == "return_statement" and node.kids:
            yield node.kids[0]


def _of_call(file: ScriptFile, node: Node) -> list[tuple[Node, bool]]:
    """Return what of a call may come into what it gives."""
    callee = node.get("function")
    name = file.name(callee or node.get("constructor"))
    arguments = given(node)
    if is_logger(name) or name.endswith((".reject", "Error", "Exception")) or name in BACK:
        return []
    if callee is not None and callee.kind == "member_expression":
        last, owner = callee.get("property"), callee.get("object")
        if last is not None and owner is not None and last.text in _KEPT:
            return [(owner, True), *((each, True) for each in arguments)]
    if name in _MADE_OF:
        return [(each, True) for each in arguments[:1] if text_of(each) is None]
    return [(each, False) for each in arguments]
