"""What comes out of a comparison of policies, and how it is told."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec


class Permitted(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is permitted after a change of policies and was not before."""

    principal: str
    roles: tuple[str, ...]
    """Those that it has where the resource is."""
    action: str
    resource: str
    granted: bool
    internal: bool
    public: bool
    by: tuple[str, ...]
    """The policies that permit it now."""
    before: str
    """Why it was denied."""

    @property
    def text(self) -> str:
        """Return it on one line."""
        who = f"{self.principal} with {', '.join(self.roles)}" if self.roles else self.principal
        what = self.resource
        told = [name for name in ("public", "internal") if getattr(self, name)]
        what = f"{what} ({' and '.join(told)})" if told else what
        told_grant = ", which its manifest grants," if self.granted else ""
        return f"{who} may {self.action} on {what}{told_grant} by {', '.join(self.by)}"


class Widening(msgspec.Struct, frozen=True, kw_only=True):
    """What is permitted after a change and was not before, of every shape of request."""

    permitted: tuple[Permitted, ...]
    """One request for each kind of principal, action and kind of resource that has any."""
    undecided: tuple[str, ...]
    """What could not be decided, and why: it counts as widened."""
    shapes: int
    """Kinds of principal, action and kind of resource that were decided."""

    @property
    def widens(self) -> bool:
        """Tell whether anything is permitted that was not, or may be."""
        return bool(self.permitted or self.undecided)

    def lines(self, most: int = 20) -> Iterator[str]:
        """Yield a line for each request, the rest as a number."""
        for each in self.permitted[:most]:
            yield f"+ {each.text}"
        if len(self.permitted) > most:
            yield f"+ and {len(self.permitted) - most} more"
        for reason in self.undecided[:most]:
            yield f"? {reason}"
        if len(self.undecided) > most:
            yield f"? and {len(self.undecided) - most} more"
