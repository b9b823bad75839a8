"""What packages of npm come to, by the lock file beside the code.

A package that is not known may use any right of a function. If the lock says what it needs, and
neither it nor anything below it has to do with AWS, then it has no client to use one with.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

from casemate.audit.code.reading import Code
from casemate.audit.privileges.javascript_libraries import loads_files, uses

_LOCKS = ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml")
_KINDS = ("dependencies", "optionalDependencies", "peerDependencies")
_MAX_BELOW = 3_000
"""Packages below one; more are not looked through."""
_MAX_DEPTH = 40
"""Folders within folders in a lock of the first form."""
_CLIENTS = ("aws-sdk", "@aws-sdk/client", "@aws-sdk/lib", "@aws-sdk/credential", "aws4")
_OF_AWS = re.compile(
    r"aws|amazon|amzn|amplify|\bs3|s3\b|sqs|\bsns|\bses\b|dynam[oi]|lambda|cognito|kinesis|firehose"
    r"|bedrock|cloud(?:watch|front|search|formation)|athena|aurora|redshift|data-api|\bssm|secret"
    r"|parameter|\bkms|credstash|credential|rekognition|textract|appsync|sagemaker|opensearch"
    r"|elasticsearch|presign|signed|signature|sigv4|upload|minio|serverless|\biot\b|eventbridge"
    r"|step-?functions|\bsfn\b|\bec2|\becs\b|\bmulter|middy|\bsst\b"
)
"""Words of names of packages that ask AWS, which need not say so: version 2 of the SDK is there
without being asked for."""
Needs = dict[str, set[str]]
"""The packages that each needs, by names: of all its versions."""


class Locked:
    """The packages of one lock file."""

    def __init__(self, needs: Needs) -> None:
        """Keep what each needs."""
        self._needs = needs

    def services(self, package: str) -> tuple[str, ...] | None:
        """Return the services that a package may use; None if it may use any."""
        if package not in self._needs or loads_files(package):
            return None
        found = set[str]()
        seen, todo = {package}, [package]
        while todo:
            name = todo.pop()
            known = uses(name)
            if name.startswith(_CLIENTS):
                return None
            if known is None and (_OF_AWS.search(name) is not None or len(seen) > _MAX_BELOW):
                return None
            found.update(known or ())
            below = self._needs.get(name, set()) - seen if known is None else set()
            seen |= below
            todo += below
        return tuple(sorted(found))


def locked_of(code: Code, folder: str) -> Locked | None:
    """Return the packages of the lock nearest to a folder, from there upwards; read once."""
    while True:
        start = f"{folder}/" if folder not in ("", ".") else ""
        for name in _LOCKS:
            if start + name in code.files:
                return code.once("lock", start + name, partial(_read, code, start + name))
        if not start:
            return None
        folder = folder.rpartition("/")[0]


def _read(code: Code, file: str) -> Locked:
    text = code.lock(file) or ""
    try:
        return Locked(_of_npm(text) if file.endswith(".json") else _of_lines(text, file))
    except (ValueError, RecursionError, AttributeError):
        return Locked({})


def _of_npm(text: str) -> Needs:
    held = json.loads(text)
    needs: Needs = defaultdict(set)
    packages = held.get("packages")
    for path, each in packages.items() if isinstance(packages, dict) else ():
        name = path.rpartition("node_modules/")[2]
        if path and isinstance(each, dict):
            needs[name].update(*(each.get(kind) or () for kind in _KINDS))
    if not isinstance(packages, dict):
        _of_first_form(held, needs)
    return needs


def _of_first_form(held: Any, needs: Needs) -> None:
    todo = [(held, 0)]
    while todo:
        outer, depth = todo.pop()
        inner = outer.get("dependencies") if isinstance(outer, dict) else None
        for name, each in inner.items() if isinstance(inner, dict) else ():
            if isinstance(each, dict):
                needs[name].update(r for r in (each.get("requires") or ()) if isinstance(r, str))
                if depth < _MAX_DEPTH:
                    todo.append((each, depth + 1))


def _of_lines(text: str, file: str) -> Needs:
    """Read the locks of yarn and pnpm, which have one package after the other."""
    needs: Needs = defaultdict(set)
    within = 0 if file.endswith("yarn.lock") else 2
    names: list[str] = []
    listing = False
    for line in text.split("\n"):
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        depth = len(line) - len(line.lstrip(" "))
        if depth <= within:
            names = list(_names(plain)) if depth == within and plain.endswith(":") else []
            listing = False
            for name in names:
                needs[name] |= set()
        elif depth == within + 2:
            listing = plain.rstrip(":") in _KINDS and plain.endswith(":")
        elif listing and depth == within + 4:
            for name in names:
                needs[name].add(_first_word(plain))
    return needs


def _names(key: str) -> Iterator[str]:
    """Yield the packages of `"@a/b@^1.0.0", c@npm:^2:`, `/@a/b@1.0.0(c@2):` and `/a/1.0.0:`."""
    for each in key.rstrip(":").split(","):
        plain = each.strip().strip("'\"").partition("(")[0]
        if plain.startswith("/") and "@" not in plain[2:]:
            yield plain[1:].rpartition("/")[0]
            continue
        plain = plain.lstrip("/")
        name, sign, _ = plain[1:].partition("@")
        if sign:
            yield plain[:1] + name


def _first_word(line: str) -> str:
    """Return the name in `a "^1.0.0"`, `"@a/b" "^1.0.0"` and `'@a/b': 1.0.0`."""
    quote = line[0] if line[0] in "'\"" else ""
    if quote:
        return line[1:].partition(quote)[0]
    return re.split(r"[:\s]", line, maxsplit=1)[0]
