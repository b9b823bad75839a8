"""Attacks by requests without a right, by errors that would tell, and by what a call leaves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casemate.drills.control import CLOUDS, CONTROL
from casemate.drills.drill import Drill, Way

_ERRORS = {
    "raises": "An exception",
    "raises_from": "An exception with a cause",
    "group": "A group of exceptions",
    "trace_text": "A trace that is returned as text",
    "trace_in_json": "A trace inside a JSON answer",
    "trace_in_header": "A trace in a header",
    "debug_page": "A debug page of a framework",
    "driver_error": "The error of a database driver",
    "own_path": "A path of the bundle",
    "exits": "An exit with a message",
    "dies": "A process that dies and writes to standard error",
    "recursion": "A recursion without end",
    "no_answer": "An answer that is an exception",
    "too_late": "A handler that takes too long",
    "too_much_memory": "A handler that takes too much memory",
}
_LEFT = {
    "global": "a global of the module",
    "class": "an attribute of a class",
    "module": "a module",
    "builtin": "a built-in name",
    "library": "a patched library",
    "environment": "an environment variable",
    "file": "a file in /tmp",
    "folder": "another working directory",
    "import_path": "a folder on the import path",
    "thread": "a thread",
    "descriptor": "an open descriptor",
    "signal": "a signal handler",
}
_DEEP = '{"a":' * 80 + "1" + "}" * 80
_REQUESTS: dict[str, tuple[str, str, str, dict[str, Any], frozenset[int]]] = {
    "no-token": ("Call a private function without a token", "T1078", "authentication",
                 {"path": "/invoke/{p}/careless"}, frozenset({401})),
    "wrong-token": ("Call with a token that is none", "T1110", "authentication",
                    {"path": "/invoke/{p}/careless", "token": "wrong"}, frozenset({401})),
    "shaped-token": ("Call with a token of the right shape", "T1110", "authentication",
                     {"path": "/invoke/{p}/careless", "token": "shaped"}, frozenset({401})),
    "unsigned-token": ("Call with an unsigned JWT", "T1550.001", "authentication",
                       {"path": "/invoke/{p}/careless", "token": "unsigned"}, frozenset({401})),
    "token-in-query": ("Give a token in the address", "T1550.001", "authentication",
                       {"path": "/invoke/{p}/careless?access_token=x"}, frozenset({401})),
    "basic-password": ("Give a password instead of a token", "T1110.001", "authentication",
                       {"path": "/invoke/{p}/careless", "token": "basic"}, frozenset({401})),
    "list-functions": ("List functions without a token", "T1526", "authentication",
                       {"path": "/api/v1/functions", "method": "GET"}, frozenset({401})),
    "list-secrets": ("List secrets without a token", "T1555.006", "authentication",
                     {"path": "/api/v1/secrets", "method": "GET"}, frozenset({401, 404})),
    "list-users": ("List people without a token", "T1087.004", "authentication",
                   {"path": "/api/v1/users", "method": "GET"}, frozenset({401})),
    "add-user": ("Add a person without a token", "T1136.003", "authentication",
                 {"path": "/api/v1/users", "body": '{"name":"drill"}'}, frozenset({401, 422})),
    "add-token": ("Make a token without one", "T1098.001", "authentication",
                  {"path": "/api/v1/tokens", "body": '{"name":"drill"}'}, frozenset({401, 422})),
    "read-logs": ("Read logs without a token", "T1654", "authentication",
                  {"path": "/api/v1/logs", "method": "GET"}, frozenset({401})),
    "read-metrics": ("Read metrics without a token", "T1526", "authentication",
                     {"path": "/metrics", "method": "GET"}, frozenset({401})),
    "remove-function": ("Remove a function without a token", "T1485", "authentication",
                        {"path": "/api/v1/functions/{p}/careless", "method": "DELETE"},
                        frozenset({401})),
    "inner-function": ("Call an internal function from outside", "T1190", "",
                       {"path": "/invoke/{p}/inner", "token": "own", "body": '{"how":"well"}'},
                       frozenset({403, 404})),
    "climb": ("Leave a path by dots", "T1083", "",
              {"path": "/invoke/{p}/%2e%2e/%2e%2e/api/v1/functions"}, frozenset({400, 401, 404})),
    "unknown-method": ("Use a method that there is not", "T1190", "",
                       {"path": "/invoke/{p}/careless", "method": "TRACE", "token": "own"},
                       frozenset({400, 405, 501})),
    "broken-json": ("Send JSON that is none", "T1190", "",
                    {"path": "/invoke/{p}/careless", "token": "own", "body": '{"a":'},
                    frozenset({400})),
    "deep-json": ("Send JSON that is nested too deep", "T1499.003", "",
                  {"path": "/invoke/{p}/careless", "token": "own", "body": _DEEP},
                  frozenset({400, 413, 422})),
    "prototype": ("Send a key that pollutes prototypes", "T1190", "injection",
                  {"path": "/invoke/{p}/careless", "token": "own",
                   "body": '{"how":"well","__proto__":{"a":1}}'}, frozenset({400, 422})),
    "huge-header": ("Send a huge header", "T1499.001", "",
                    {"path": "/invoke/{p}/careless", "token": "own", "header": 200_000},
                    frozenset({400, 413, 431})),
    "claimed-source": ("Speak in the platform's name", "T1656", "",
                       {"path": "/invoke/{p}/careless", "token": "own", "body": "{}",
                        "headers": {"ce-specversion": "1.0", "ce-id": "1",
                                    "ce-source": "/projects/x", "ce-type": "casemate.table.x"}},
                       frozenset({400, 403, 422})),
}  # fmt: skip
_CONTAINMENT = {
    "revoke-token": ("Revoke a stolen token, and give another", "T1550.001"),
    "roll-back": ("Take a poisoned version back, and go on with the one before", "T1525"),
    "quarantine": ("Put a function into quarantine, and release it", "T1648"),
    "freeze-alias": ("Have no alias of a function moved, and lift that", "T1525"),
    "cut-egress": ("Have a function reach no host, and lift that", "T1567"),
    "block-address": ("Take no calls from an address, and lift that", "T1110"),
    "withhold-secrets": ("Give a function no secret, and lift that", "T1555.006"),
    "rotate-secret": ("Have a secret get another value, and the former again", "T1552"),
    "seal-evidence": ("Keep evidence of an incident, and end its hold", "T1070"),
    "page": ("See who is on call, and wake nobody", "T1562.008"),
    "by-itself": ("Have a playbook stop a function that tries to escape, and undo it", "T1611"),
    "remove-attacker": ("Remove a function that attacks", "T1648"),
}


def drills() -> Iterator[Drill]:
    """Yield them."""
    for name, (title, technique, denied, play, statuses) in (_REQUESTS | CONTROL).items():
        yield Drill(
            id=f"request-{name}",
            title=title,
            way=Way.REQUEST,
            risk=1,
            technique=technique,
            cloud=CLOUDS.get(name, ""),
            play=play,
            refused=statuses,
            denied=denied,
        )
    for how, title in _ERRORS.items():
        yield Drill(
            id=f"error-{how.replace('_', '-')}",
            title=f"{title} tells of the inside",
            way=Way.ERROR,
            risk=5,
            technique="T1592",
            play={"how": how},
        )
    for name, title in _LEFT.items():
        yield Drill(
            id=f"residue-{name.replace('_', '-')}",
            title=f"Leave {title} for the next call",
            way=Way.RESIDUE,
            risk=2,
            technique="T1525" if name in ("library", "module") else "T1213",
            play={"name": name},
        )


def containment() -> Iterator[Drill]:
    """Yield what is done about an attack, and taken back. Played last: the attacker is removed."""
    for name, (title, technique) in _CONTAINMENT.items():
        yield Drill(
            id=f"contain-{name}",
            title=title,
            way=Way.CONTAINMENT,
            risk=4,
            technique=technique,
            play={"name": name},
        )
