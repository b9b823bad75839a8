"""What was encrypted outside is from outside when it is decrypted, whoever holds the key.

Functions that the function's own code calls are followed by their name; these are followed in
dependencies as well. Types in C cannot be wrapped.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from ..core import Guard
from ..sink import Patch
from ..standing import wrap_after

_TABLE: dict[str, tuple[str, ...]] = {
    "cryptography.fernet": ("Fernet.decrypt", "Fernet.decrypt_at_time", "MultiFernet.decrypt"),
    "nacl.secret": ("SecretBox.decrypt", "Aead.decrypt"),
    "nacl.public": ("Box.decrypt", "SealedBox.decrypt"),
    "jwcrypto.jwe": ("JWE.decrypt",),
    "joserfc.jwe": ("decrypt_compact", "decrypt_json"),
    "jose.jwe": ("decrypt",),
    "rsa.pkcs1": ("decrypt",),
    "gnupg": ("GPG.decrypt",),
}
_MAX_DATA = 1 << 20
_RESULTS = ("plaintext", "payload", "data")


def patches() -> dict[str, Patch]:
    """Return the patches by module."""
    return {name: _patch(functions) for name, functions in _TABLE.items()}


def _patch(functions: tuple[str, ...]) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        def decrypted(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
            if guard.active:
                _note(guard, (*arguments, *named.values()), result)

        for path in functions:
            *steps, last = path.split(".")
            owner: Any = getattr(module, steps[0], None) if steps else module
            if owner is not None and callable(getattr(owner, last, None)):
                wrap_after(owner, last, decrypted)

    return patch


def _note(guard: Guard, given: tuple[Any, ...], result: Any) -> None:
    """Take what was decrypted as data of the source that the encrypted text is from."""
    for data in given:
        if isinstance(data, (str, bytes)) and 0 < len(data) <= _MAX_DATA:
            spans = guard.spans(data)
            if spans:
                for value in (result, *(getattr(result, name, None) for name in _RESULTS)):
                    if isinstance(value, (str, bytes, dict, list)):
                        guard.add(spans[0].origin.source, value, spans[0].origin.pointer)
                return
