"""Whether code seems to look at who calls it, by the names of what it calls and compares."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from casemate.audit.model import Function
from casemate.audit.rule import Subject

_CHECKING = re.compile(
    r"(?<![A-Za-z0-9])(?:require|ensure|assert|check|verify|validate|is|must|authenticate|authorize)_?"
    r"(?:\w{0,20}_)?(?i:admin|auth|role|permission|access|claims|session|jwt|token|api_?key)\w{0,30}\("
    r"|\bwith_?(?:\w{0,20}_)?(?i:admin|auth|role|permission|jwt)\w{0,30}\("
    r"|\b(?:authenticate|authorize|authorise)\w{0,30}\(|\bjwt\.(?:verify|decode)\("
    r"|\bauth\w{0,10}\.(?:roles?|require|check|verify|protect|guard|admin|only|is|has)[A-Z_]?\w{0,30}\("
    r"|\.use\(\s{0,8}(?:new\s{1,3})?\w{0,40}(?i:role|user_?type|admin|auth|permission|jwt)\w{0,40}\("
    r"|(?:\.|\[['\"]|get\(['\"])(?i:is_?admin)\b"
    r"|[!=]==?\s{0,3}(?:\w{1,40}\.){0,4}(?i:password|secret|api_?key|admin_?key)\b"
    r"|\b(?i:password|secret|api_?key|admin_?key)\s{0,3}[!=]==?"
)
_DEFINED = re.compile(r"\b(?:(?:const|let|var|function|def)\s{1,4}|exports\.)(\w{1,80})")
_LONGEST_HANDLER = 20_000
_ENDS = re.compile(
    r"\n(?:\}|(?:async )?(?:def|function) |class |@|(?:const|let|var|export) |(?:module\.)?exports)"
)
_BRANCH = re.compile(r"['\"`](?:[A-Z]{3,7} )?(/[\w/{}:.-]{2,80})['\"`]")
_CALLED = re.compile(r"\b([A-Za-z_]\w{0,80})\(")
_NEAR = 300
"""Bytes behind the path of a branch in which what serves it is called."""
_MOST = 20
_IMPORTED = re.compile(
    r"\bimport\s{1,4}(\{[^{}]{1,800}\}|\w{1,80})\s{1,4}from\s{1,4}['\"](\.[\w./-]{1,200})['\"]"
    r"|\b(?:const|let|var)\s{1,4}(\{[^{}]{1,800}\}|\w{1,80})\s{0,4}=\s{0,4}"
    r"require\(['\"](\.[\w./-]{1,200})['\"]\)"
    r"|\bfrom\s{1,4}(\.{0,3}[\w.]{1,200})\s{1,4}import\s{1,4}([\w, ]{1,400})"
)
_SCRIPTS = ("", ".ts", ".js", ".mjs", ".cjs", ".tsx", "/index.ts", "/index.js")


def looks_at_callers(subject: Subject, f: Function, path: str) -> bool:
    """Tell whether a handler, or what it passes a path on to, calls what is named after a check."""
    text = f.inline or (subject.code.text(f.entry) if f.entry else None) or ""
    body = _body(text, f.handler.rpartition(".")[2])
    if body is None:
        return False
    if _CHECKING.search(body) is not None:
        return True
    names = list(dict.fromkeys(_passed_on(body, path)))[:_MOST]
    if any(_checks(subject, f.entry, text, name) for name in names):
        return True
    passed = () if _BRANCH.search(body) is not None else _GIVEN_ON.finditer(body)
    given = list(dict.fromkeys(each[1] for each in passed))[:_MOST]
    there = [name for name in given if _found(subject, f.entry, text, name) is not None]
    if there:
        return all(_checks(subject, f.entry, text, name) for name in there)
    return _loaded(subject, f.entry, body)


_GIVEN_ON = re.compile(r"\breturn\s{1,3}(?:await\s{1,3})?(\w{1,80})\(\s{0,20}(?:event|evt)\b")


_LOADED = re.compile(r"\b(?:import|require)\(['\"](\.[\w./-]{1,200})['\"]\)")


def _loaded(subject: Subject, file: str, body: str) -> bool:
    """Tell whether all modules that a handler loads to pass an event on to look at who calls."""
    there = [_file(subject, file, each[1]) for each in _LOADED.finditer(body)][:_MOST]
    texts = [(subject.code.text(each) if each else None) or "" for each in there]
    return bool(texts) and all(_CHECKING.search(each) for each in texts)


def _body(text: str, name: str) -> str | None:
    """Return the text of a function, as far as its end is seen; None if it does not exist."""
    made = next((each for each in _DEFINED.finditer(text) if each[1] == name), None)
    if made is None:
        return None
    body = text[made.end() : made.end() + _LONGEST_HANDLER]
    end = _ENDS.search(body)
    if end is None:
        return body
    wrapped = body.startswith("})", end.start() + 1)  # `}).use(...)`: of this function still
    line = body.find("\n", end.start() + 1) if wrapped else end.start()
    return body[:line] if line >= 0 else body


_NAME = re.compile(r"\b[A-Za-z_]\w{0,80}\b")
_MOST_FUNCTIONS = 400


def functions_of(text: str) -> dict[str, str]:
    """Return the functions that begin a line of a file, by name, as far as their ends are seen."""
    found: dict[str, str] = {}
    for made in _DEFINED.finditer(text):
        if len(found) == _MOST_FUNCTIONS:
            break
        start = text.rfind("\n", 0, made.start()) + 1
        if made[1] not in found and text[start : start + 1].strip():
            found[made[1]] = (
                _body(text[made.start() : made.end() + _LONGEST_HANDLER], made[1]) or ""
            )
    return found


def reached_from(there: dict[str, str], names: list[str]) -> list[str]:
    """Return some of the functions of a file, those that they name, and so on."""
    todo, seen = [name for name in names if name in there], set(names)
    found = []
    while todo:
        body = there[todo.pop()]
        found.append(body)
        for name in _NAME.findall(body):
            if name in there and name not in seen:
                seen.add(name)
                todo.append(name)
    return found


def _passed_on(body: str, path: str) -> Iterator[str]:
    """Yield what is called in the branches of a handler that ask for a path."""
    for branch in _BRANCH.finditer(body):
        asked = branch[1].rstrip("/")
        if asked and f"{asked}/" in f"{path}/":
            near = body[branch.end() : branch.end() + _NEAR]
            other = _BRANCH.search(near)
            yield from (
                each[1] for each in _CALLED.finditer(near, 0, other.start() if other else _NEAR)
            )


def _checks(subject: Subject, file: str, text: str, name: str) -> bool:
    """Tell whether a function looks at who calls: one of the same file, or one that it imports."""
    body = _found(subject, file, text, name)
    return body is not None and _CHECKING.search(body) is not None


def _found(subject: Subject, file: str, text: str, name: str) -> str | None:
    """Return the text of a function of a file, or of one that it imports."""
    body = _body(text, name)
    if body is None:
        for known, module in _imports(text):
            there = _file(subject, file, module) if name in known else None
            other = (subject.code.text(there) if there else None) or ""
            body = _body(other, known.get(name, "")) if other else None
            if body is not None:
                break
    return body


def _imports(text: str) -> Iterator[tuple[dict[str, str], str]]:
    """Yield what is imported from modules of one's own: names here, and their names there."""
    for each in _IMPORTED.finditer(text):
        given, module = each[1] or each[3] or each[6], each[2] or each[4] or each[5]
        known = {}
        for part in given.strip("{} ").split(","):
            there, _, here = part.replace(" as ", ":").partition(":")
            known[(here or there).strip()] = there.strip()
        yield known, module


def _file(subject: Subject, file: str, module: str) -> str | None:
    """Return the file of a module that a file imports, if it is there."""
    folder = posixpath.dirname(file)
    if "/" in module or module in (".", ".."):
        base = posixpath.normpath(posixpath.join(folder, module))
        if base not in subject.code.files:  # TypeScript names the file that it becomes
            base = base.removesuffix(".js")
        return next((base + end for end in _SCRIPTS if base + end in subject.code.files), None)
    path = module.lstrip(".").replace(".", "/")
    while True:
        found = posixpath.join(folder, f"{path}.py")
        if found in subject.code.files:
            return found
        if not folder:
            return None
        folder = posixpath.dirname(folder)
