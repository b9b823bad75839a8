"""Runs the handlers of the blind trial under the sink guard, each in a fork. See `__init__.py`.

Argument: folder with one folder for each case. Standard input: `[[folder, event], ...]` as JSON.
Standard output: one JSON line for each. Names are not resolved: no network.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3] / "src"))
# Stand-ins for libraries that are not installed.
sys.path.append(str(Path(__file__).parents[1] / "guard_fakes"))

from casemate.guard import setting_up
from casemate.guard.core import Guard, place_of
from casemate.guard.sinks import response
from casemate.guard.verdict import BlockedError

_SECONDS = 20
_PRELOAD = (
    "asyncio",
    "bottle",
    "dill",
    "flask",
    "httpx",
    "jinja2",
    "jsonpickle",
    "ldap3",
    "lxml.etree",
    "mako.template",
    "numpy",
    "pandas",
    "peewee",
    "pymongo",
    "requests",
    "sqlalchemy",
    "sqlalchemy.orm",
    "yaml",
)
_lookup = socket.getaddrinfo


def _getaddrinfo(host: Any, *arguments: Any, **named: Any) -> Any:
    if host not in (None, "", "localhost", "127.0.0.1", "169.254.169.254", "::1"):
        raise socket.gaierror(socket.EAI_NONAME, "no such name")
    return _lookup(host, *arguments, **named)


class _Table:
    def __init__(self, guard: Guard, name: str, items: dict[str, Any]) -> None:
        self._guard, self._name, self._items = guard, name, items

    def get(self, key: str) -> Any:
        value = json.loads(json.dumps(self._items[key]))
        self._guard.add(f"table:{self._name}", value)
        return type("Item", (), {"value": value, "revision": 1})()


class _Bucket:
    def __init__(self, guard: Guard, name: str, objects: dict[str, Any]) -> None:
        self._guard, self._name, self._objects = guard, name, objects

    def get(self, key: str) -> bytes:
        value = self._objects[key].encode()
        self._guard.add(f"bucket:{self._name}", value)
        return bytes(value)

    def put(self, key: str, content: str) -> None:
        self._objects[key] = content


class _Context:
    def __init__(self, guard: Guard, event: dict[str, Any]) -> None:
        self._guard = guard
        self._tables = event.pop("_table", {})
        self._buckets = event.pop("_bucket", {})

    def table(self, name: str) -> _Table:
        return _Table(self._guard, name, self._tables[name])

    def bucket(self, name: str) -> _Bucket:
        return _Bucket(self._guard, name, self._buckets[name])


def _called(handler: Any, event: Any, context: _Context) -> Any:
    if inspect.iscoroutinefunction(handler):
        return asyncio.run(handler(event, context))
    return handler(event, context)


def _answer(root: str, event: Any) -> dict[str, object]:
    signal.alarm(_SECONDS)
    guard = Guard(root)
    sys.path.insert(0, root)
    context = _Context(guard, event)
    try:
        setting_up.before_import(guard)
        app = importlib.import_module("handler")
        setting_up.after_import(guard)
        guard.begin(event)
        result = _called(app.handler, event, context)
        response.check_answer(guard, result, place_of(app.handler))
        outcome, text = "ok", repr(result)
    except BlockedError as error:
        outcome, text = "blocked", str(error)
    except ImportError as error:
        outcome, text = "missing", str(error)
    except BaseException as error:
        outcome, text = "error", f"{type(error).__name__}: {error}"
    if guard.blocked is not None:
        outcome, text = "blocked", guard.blocked
    guard.end()
    return {"outcome": outcome, "result": text[:2000]}


def main() -> None:
    """Answer each event."""
    socket.getaddrinfo = _getaddrinfo
    for name in _PRELOAD:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for case, event in json.load(sys.stdin):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            with open(write, "w") as output:
                json.dump(_answer(os.path.join(sys.argv[1], case), event), output)
            os._exit(0)
        os.close(write)
        with open(read) as answer:
            line = answer.read()
        os.waitpid(child, 0)
        print(line or json.dumps({"outcome": "crashed", "result": ""}), flush=True)


if __name__ == "__main__":
    main()
