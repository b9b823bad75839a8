"""Interpreters of other languages within the process: Lua by lupa, JavaScript by V8 and QuickJS.

No audit event has what they run. Judged is what data does to a script of the code, by the tokens of
the language, as in a script that is written for another program.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..origin import Span
from ..quoted import judge as judge_quoted
from ..quoted import language
from ..sink import Patch
from ..verdict import Verdict
from ..written.kinds import Kind
from ..written.languages import judge_code

_CEDAR = language(
    "policy of Cedar",
    "give what is asked for in the request, and the policy a slot: `principal == ?principal`",
    strings=r'"(?:[^"\\\n]|\\.)*"',
    opened='"',
    comments=r"//[^\n]*",
)
_LUA = ("lua51", "lua52", "lua53", "lua54", "lua55", "luajit20", "luajit21")
"""Modules of lupa, one for each version of the language."""
_DOTTED = re.compile(r"[\w.]{1,80}")
_RUNS_LUA = ("execute", "eval", "compile")
_JAVASCRIPT = {
    "py_mini_racer._mini_racer": ("MiniRacer", ("eval", "eval_cancelable", "execute", "call")),
    "py_mini_racer.py_mini_racer": ("MiniRacer", ("eval", "execute", "call")),
    "dukpy.evaljs": ("JSInterpreter", ("evaljs",)),
}


def check(guard: Guard, sink: str, script: object, kind: Kind, *, whole: bool) -> None:
    """Block a script (BlockedError) whose structure the event has changed.

    `whole`: one that is the event's as a whole passes. The engine has nothing of the process.
    """
    if not guard.active:
        return

    def judged(text: str, spans: Sequence[Span]) -> Verdict | None:
        if whole and len(spans) == 1 and spans[0].exact and text.strip() == _part(text, spans[0]):
            return None
        return judge_code(kind, text, [s for s in spans if not _is_name_by_chance(text, s)])

    for text in script if isinstance(script, (list, tuple)) else (script,):
        if isinstance(text, (str, bytes)):
            guard.check(sink, text, judged)


def _is_name_by_chance(text: str, span: Span) -> bool:
    """Tell of a piece whether it is a name, which scripts of libraries have as well."""
    name = _DOTTED.fullmatch(_part(text, span)) is not None
    return name and span.is_piece


def _part(text: str, span: Span) -> str:
    return text[span.start : span.end].strip()


def patches(sink: str) -> dict[str, Patch]:
    """Return the patches of such libraries, by module."""

    def lua(guard: Guard, module: ModuleType) -> None:
        library: Any = module
        library.LuaRuntime = _watched(guard, sink, library.LuaRuntime)

    def policies(guard: Guard, module: ModuleType) -> None:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            text = argument(arguments, named, 1, "policies")
            if isinstance(text, str) and guard.active:
                guard.check(sink, text, lambda t, spans: judge_quoted(t, spans, _CEDAR))

        for name in ("is_authorized", "is_authorized_batch"):
            if callable(getattr(module, name, None)):
                wrap(module, name, before)

    def javascript(owner: str, names: Sequence[str]) -> Patch:
        def patch(guard: Guard, module: ModuleType) -> None:
            def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
                script = argument(arguments, named, 1, "code", "expr")
                check(guard, sink, script, Kind.JAVASCRIPT, whole=True)

            for name in names:
                if callable(getattr(vars(module)[owner], name, None)):
                    wrap(vars(module)[owner], name, before)

        return patch

    return {
        "cedarpy": policies,
        **{f"lupa.{name}": lua for name in _LUA},
        **{module: javascript(*found) for module, found in _JAVASCRIPT.items()},
    }


def _watched(guard: Guard, sink: str, base: Any) -> type:
    """Return a subclass of a C type that cannot be changed."""
    if getattr(base, "__casemate_watched__", False):
        return base  # type: ignore[no-any-return]

    def watched(name: str) -> Any:
        original = getattr(base, name)

        @functools.wraps(original)
        def run(self: Any, script: Any, *arguments: Any, **named: Any) -> Any:
            check(guard, sink, script, Kind.LUA, whole=False)
            return original(self, script, *arguments, **named)

        return run

    members = {name: watched(name) for name in _RUNS_LUA if hasattr(base, name)}
    members |= {"__module__": base.__module__, "__casemate_watched__": True}
    return type(base.__name__, (base,), members)
