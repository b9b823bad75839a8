"""What a node lets functions ask for, whatever their manifests say."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from casemate.model.errors import InvalidInputError
from casemate.model.function import Limits

MAX_OPEN_FILES = 65_536
"""The most that a manifest may write."""
_MIB = 1024 * 1024
_TABLES_SHOWN = 3
_COUNTED = ("concurrency", "open_files")


class Caps(msgspec.Struct, frozen=True, kw_only=True):
    """The most of each limit. Sizes are bytes."""

    memory: int
    """Of one instance."""
    tmp: int
    """Of one instance's /tmp, which is memory."""
    concurrency: int
    """Instances of one function at the same time."""
    warm: int
    """Instances that wait for calls whatever the rate, of all functions together."""
    open_files: int = MAX_OPEN_FILES
    """Of each process of an instance: what the node itself may have open (`ulimit -Hn`)."""

    @classmethod
    def of_host(cls, memory: int) -> Caps:
        """Derive them from the host's memory, never below what a manifest asks for by default."""
        least = Limits()
        return cls(
            memory=max(memory // 2, least.memory),
            tmp=max(memory // 4, least.tmp),
            concurrency=max(min(memory // (64 * _MIB), 1000), least.concurrency),
            warm=max(min(memory // (128 * _MIB), 1000), 1),
        )

    def require(self, function: str, limits: Limits) -> None:
        """Refuse a function's limits above the caps, with figures. Raises InvalidInputError."""
        above = [
            f"{name} = {_shown(name, asked)} (this node gives at most {_shown(name, most)})"
            for name, asked, most in (
                ("memory", limits.memory, self.memory),
                ("tmp", limits.tmp, self.tmp),
                ("concurrency", limits.concurrency, self.concurrency),
                ("open_files", limits.open_files, self.open_files),
            )
            if asked > most
        ]
        if above:
            raise InvalidInputError(
                f"The function asks for {', '.join(above)}.",
                next_step=f"Ask for less in [function.{function}.limits], or have the operator "
                "start the node with --max-memory, --max-tmp or --max-instances, or for "
                "open_files with a higher limit (ulimit -n, LimitNOFILE= in its unit).",
            )

    def require_warm(self, asked: int, others: int, functions: Sequence[str]) -> None:
        """Refuse what functions ask for beside what others have. Raises InvalidInputError."""
        if asked and asked + others > self.warm:
            raise InvalidInputError(
                f"The function asks for warm = {asked}; this node keeps at most {self.warm} "
                f"instances ready, of which others have {others}.",
                next_step=f"Ask for fewer in {_tables(functions)}, or have the operator start the "
                "node with --max-warm.",
            )


def _tables(functions: Sequence[str]) -> str:
    """Return where in the manifest limits of functions are, of a few of them."""
    more = ", ..." if len(functions) > _TABLES_SHOWN else ""
    return ", ".join(f"[function.{name}.limits]" for name in functions[:_TABLES_SHOWN]) + more


def _shown(name: str, value: int) -> str:
    return str(value) if name in _COUNTED else f"{value / _MIB:.0f}MB"
