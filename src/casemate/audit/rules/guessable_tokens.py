"""Looks for tokens that are made of numbers which can be guessed, by whatever makes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import partial

from casemate.audit.code.reading import PythonFile, python_files
from casemate.audit.rule import Check, Hit, Subject
from casemate.audit.rules.looks import look_at
from casemate.audit.syntax import walk

TOKENS = re.compile(
    r"token|secret|passw(?:or)?d|passcode|session_?id|session_?key|nonce|api_?key"
    r"|(?:^|_)(?:sid|otp|salt|csrf|auth_?key|(?:reset|verif\w{0,10}|confirm\w{0,10}|activation"
    r"|login|invite|recovery|access|auth|backup)_?(?:code|link|key)s?)(?:s?$|_)",
    re.I,
)
"""Names of what nobody may guess: words of snake case."""
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_TOKENS = re.compile(r"count|length|len$|size|index|index$|limit|ttl|_max|_min|expir|num_|n_")
_RANDOM = re.compile(
    r"^random\.(?:random|randint|choice|choices|randrange|sample|getrandbits|randbytes|shuffle"
    r"|uniform)$|^(?:numpy|np)\.random\.\w{3,20}$"
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def is_token(name: str) -> bool:
    """Tell whether a name says that it is of something that nobody may guess."""
    plain = _HUMPS.sub("_", name)
    return TOKENS.search(plain) is not None and _NO_TOKENS.search(plain) is None


def guessable(
    file: PythonFile, makers: frozenset[str] = frozenset()
) -> Iterator[tuple[ast.AST, str]]:
    """Find secrets made of numbers that can be guessed: `makers` are functions that give these."""
    if "random" not in file.text and not any(each in file.text for each in makers):
        return
    for node in file.nodes:
        if isinstance(node, _FUNCTIONS) and is_token(node.name):
            for inner in walk(node):
                if isinstance(inner, ast.Return) and _is_guessed(file, inner.value, makers):
                    yield inner, guessed(node.name)
            continue
        for name, value in _given(node):
            if is_token(name) and _is_guessed(file, value, makers):
                yield node if isinstance(node, ast.stmt) else value, guessed(name)


def guessed(name: str) -> str:
    """Say what is wrong with what has this name."""
    return f"{name[:60]} is made from numbers that can be guessed"


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield what is given a name: variables, attributes, items, arguments by name."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for each in targets:
            if isinstance(each, ast.Subscript):
                key = getattr(each.slice, "value", None)
                yield key if isinstance(key, str) else "", node.value
            else:
                yield getattr(each, "id", getattr(each, "attr", "")), node.value
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            if isinstance(keyword.value, (ast.Call, ast.JoinedStr)) and keyword.arg:
                yield keyword.arg, keyword.value
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value


def _is_guessed(file: PythonFile, value: ast.AST | None, makers: frozenset[str]) -> bool:
    for each in walk(value) if value is not None else ():
        if isinstance(each, ast.Call):
            name = file.name(each.func)
            if _RANDOM.match(name) or name in makers:
                return True
    return False


def _makers(file: PythonFile) -> frozenset[str]:
    """Return the functions of a file that give what is made of such numbers, whatever their name."""
    found = set()
    for node in file.tree.body if "random" in file.text else ():
        if isinstance(node, _FUNCTIONS) and not is_token(node.name):
            returned = [each for each in walk(node) if isinstance(each, ast.Return)]
            texts = _NAMED_TEXT.search(node.name)
            if texts and any(_is_guessed(file, each.value, frozenset()) for each in returned):
                found.add(node.name)
    return frozenset(found)


_NAMED_TEXT = re.compile(r"rand|gen|make|create|string|str|text|code|key|chars|id$|hex|new", re.I)


def between_files(_: Check) -> Check:
    """Look for tokens with the helpers of all files of the application."""

    def found(subject: Subject) -> Iterator[Hit]:
        makers: set[str] = set()
        for file, _function in python_files(subject.code, subject.application):
            module = file.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            last = module.rpartition(".")[2]
            own = subject.code.once("makers", file.file, partial(_makers, file))
            for name in own:
                makers.update((f"{last}.{name}", f"{module}.{name}"))
        yield from look_at(lambda file: guessable(file, _known(file, frozenset(makers))))(subject)

    return found


def _known(file: PythonFile, makers: frozenset[str]) -> frozenset[str]:
    """Return by which names a file calls functions of others and its own that are no safe ones."""
    module = file.file.removesuffix(".py").rpartition("/")[2]
    found = {name.removeprefix(f"{module}.") for name in makers if name.startswith(f"{module}.")}
    for node in file.tree.body:
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            last = node.module.rpartition(".")[2]
            each = [(a.asname or a.name, f"{last}.{a.name}") for a in node.names]
            found.update(name for name, meant in each if meant in makers)
    for name, meant in file.imported.items():
        package, _, function = meant.rpartition(".")
        short = f"{package.rpartition('.')[2]}.{function}"
        if meant in makers or short in makers:
            found.update((name, meant))
    return frozenset((*found, *makers))
