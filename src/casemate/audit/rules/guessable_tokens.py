"""Looks for tokens that are made of numbers which can be guessed, by whatever makes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import partial

from casemate.audit.code.reading import PythonFile, python_files
from casemate.audit.rule import Check, Hit, Subject
from casemate.audit.rules.looks import look_at
from casemate.audit.syntax import above, walk

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


def guessable(file: PythonFile, *makers: Container[str]) -> Iterator[tuple[ast.AST, str]]:
    """Find secrets made of numbers that can be guessed: `makers` are functions that give these."""
    made = _made(file, makers)
    searched: set[int] = set()  # functions within another: its name says more
    for node in file.nodes if made else ():
        if isinstance(node, _FUNCTIONS) and is_token(node.name):
            for inner in walk(node) if id(node) not in searched else ():
                if isinstance(inner, _FUNCTIONS):
                    searched.add(id(inner))
                if isinstance(inner, ast.Return) and id(inner) in made:
                    yield inner, guessed(node.name)
            continue
        for name, value in _given(node):
            if is_token(name) and id(value) in made:
                yield node if isinstance(node, ast.stmt) else value, guessed(name)


def _made(file: PythonFile, makers: Sequence[Container[str]] = ()) -> set[int]:
    """Return what is made of such numbers: the calls, and all that they are in."""
    calls = {
        id(call)
        for call, name in file.calls()
        if _RANDOM.match(name) or any(name in each for each in makers)
    }
    return above(file.nodes, calls) if calls else calls


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


def _makers(file: PythonFile) -> frozenset[str]:
    """Return the functions of a file that give what is made of such numbers, whatever their name."""
    made = _made(file) if "random" in file.text else ()
    return frozenset(
        node.name
        for node in file.tree.body
        if isinstance(node, _FUNCTIONS)
        and id(node) in made
        and not is_token(node.name)
        and _NAMED_TEXT.search(node.name)
        and any(isinstance(each, ast.Return) and id(each) in made for each in walk(node))
    )


_NAMED_TEXT = re.compile(r"rand|gen|make|create|string|str|text|code|key|chars|id$|hex|new", re.I)


def between_files(_: Check) -> Check:
    """Look for tokens with the helpers of all files of the application."""

    def found(subject: Subject) -> Iterator[Hit]:
        makers: dict[str, set[str]] = {}
        for file, _function in python_files(subject.code, subject.application):
            module = file.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            for name in subject.code.once("makers", file.file, partial(_makers, file)):
                makers.setdefault(module, set()).add(name)
                makers.setdefault(module.rpartition(".")[2], set()).add(name)
        every = {f"{module}.{name}" for module, names in makers.items() for name in names}
        yield from look_at(lambda file: guessable(file, every, _known(file, makers)))(subject)

    return found


def _known(file: PythonFile, makers: Mapping[str, set[str]]) -> set[str]:
    """Return by which names a file calls functions of others and its own that are no safe ones."""
    found = set(makers.get(file.file.removesuffix(".py").rpartition("/")[2], ()))
    for node in file.tree.body:
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            names = makers.get(node.module.rpartition(".")[2], ())
            found.update(each.asname or each.name for each in node.names if each.name in names)
    for name, meant in file.imported.items():
        module, _, function = meant.rpartition(".")
        for names in (makers.get(module, ()), makers.get(module.rpartition(".")[2], ())):
            if function in names:
                found.update((name, meant))
    return found
