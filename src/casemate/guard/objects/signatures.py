"""Which data the function has verified: what `hmac.compare_digest` said yes to."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument
from ..standing import wrap_after
from .judgement import SIGNED

_MAX_MESSAGE = 1 << 20


def patch_hmac(guard: Guard, module: ModuleType) -> None:
    """Note the messages of codes that are computed, and those whose code was compared and equal."""
    kind: Any = module.HMAC

    def messages() -> dict[int, tuple[object, bytes]]:
        found: dict[int, tuple[object, bytes]] = guard.provenance.kept.setdefault(
            (SIGNED, "messages"), {}
        )
        return found

    def codes() -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = guard.provenance.kept.setdefault((SIGNED, "codes"), {})
        return found

    def add(code: Any, message: Any) -> None:
        if message is None or len(message) > _MAX_MESSAGE:
            return
        before = messages().get(id(code))
        begun = before[1] if before is not None and before[0] is code else b""
        messages()[id(code)] = (code, begun + bytes(message))

    def made(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        # HMAC updates itself with its first message.
        message = argument(arguments, named, 2, "msg")
        if guard.active and message is not None and id(arguments[0]) not in messages():
            add(arguments[0], message)

    def updated(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active:
            add(arguments[0], argument(arguments, named, 1, "msg"))

    def ended(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active:
            known = messages().get(id(arguments[0]))
            if known is not None and known[0] is arguments[0]:
                codes()[_bytes(result)] = known[1]

    def at_once(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        message = argument(arguments, named, 1, "msg")
        if guard.active and message is not None and len(message) <= _MAX_MESSAGE:
            codes()[_bytes(result)] = bytes(message)
            codes()[result.hex().encode()] = bytes(message)

    def compared(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active and result is True:
            verified: set[bytes] = guard.provenance.kept.setdefault((SIGNED, "verified"), set())
            for code in arguments:
                message = codes().get(_bytes(code))
                if message is not None:
                    verified.add(message)

    wrap_after(kind, "__init__", made)
    wrap_after(kind, "update", updated)
    wrap_after(kind, "digest", ended)
    wrap_after(kind, "hexdigest", ended)
    wrap_after(module, "digest", at_once)
    wrap_after(module, "compare_digest", compared)


def _bytes(code: Any) -> bytes:
    return code.encode(errors="surrogateescape") if isinstance(code, str) else bytes(code)
