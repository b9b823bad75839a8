"""What commands show of grants: the difference a deploy makes, and what was used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from casemate.admission.grants import GrantDifference, describe, describe_widening
from casemate.cli.client import NodeClient
from casemate.cli.errors import CommandError, DeniedError, ExitCode, MissingError
from casemate.cli.names import FunctionName
from casemate.model.denial import GrantUse
from casemate.model.grant import Grant, GrantKind
from casemate.operations.grants import FunctionGrants, ShowGrants


class ApprovalNeededError(CommandError):
    """The deploy would widen what functions are granted, and nobody has approved it."""

    exit_code = ExitCode.DENIED

    def __init__(
        self,
        widening: Sequence[tuple[FunctionName, GrantDifference]],
        first: Collection[FunctionName] = (),
    ) -> None:
        """Tell every line of every difference; of those of `first` no version is live."""
        self.widening = tuple(widening)
        if all(name in first for name, _ in widening):
            what = "A first version with grants needs an approval"
        else:
            what = "This would grant more than the live version has"
        lines = [f"{what}, so nothing was deployed:"]
        for name, difference in widening:
            lines.append(f"  {name}")
            lines += [f"    {line}" for line in difference.lines()]
        super().__init__(
            "\n".join(lines),
            next_step="Read the lines above. If you mean them, run it again with --approve: that "
            "needs the right grant:approve, and is recorded with your name. Without that right, "
            "have an owner or operator of the project deploy these files so.",
        )


def function_grants(
    client: NodeClient, name: FunctionName, *, version: int | None = None
) -> FunctionGrants:
    """Return what the node knows of a function's grants; without `version` of the live one."""
    wanted = ShowGrants(project=name.project, function=name.function, version=version or 0)
    return client.call(wanted)


def uses_if_allowed(client: NodeClient, name: FunctionName, version: int) -> FunctionGrants | None:
    """Return the same, or None where this key may not see it: a deploy goes on without it."""
    try:
        return function_grants(client, name, version=version)
    except (DeniedError, MissingError):
        return None


def unused(granted: Iterable[Grant], uses: Iterable[GrantUse]) -> list[tuple[Grant, list[str]]]:
    """Return each grant with those of its actions that no use is recorded of, if there are any.

    Of a version that is new, or is back after a rollback, others may have used what it has not.
    """
    used = {(use.grant, use.action) for use in uses}
    found = []
    for grant in granted:
        actions = [action for action in grant.actions if (grant.text, action) not in used]
        if actions:
            found.append((grant, actions))
    return found


def narrowed(before: Iterable[Grant], after: Iterable[Grant]) -> list[str]:
    """Return a line for each grant that stays and allows less: `bucket a: without read`."""
    now = _by_resource(after)
    lines = []
    for was in before:
        parts = _given_up(was, now[was.text]) if was.text in now else []
        if parts:
            lines.append(f"{was.text}: {'; '.join(parts)}")
    return lines


def _by_resource(grants: Iterable[Grant]) -> dict[str, list[Grant]]:
    """Return the grants of each resource: one can be granted, watched and written by triggers."""
    found: dict[str, list[Grant]] = {}
    for grant in grants:
        found.setdefault(grant.text, []).append(grant)
    return found


def _given_up(was: Grant, now: Sequence[Grant]) -> list[str]:
    """Return what none of the grants of now, all of the same resource, allows any more."""
    actions = [a for a in was.actions if all(a not in grant.actions for grant in now)]
    parts = [f"without {', '.join(actions)}"] if actions else []
    below: dict[str, None] = {}
    for action in was.actions:
        prefixes = [grant.prefixes for grant in now if action in grant.actions]
        flat = tuple(prefix for some in prefixes for prefix in some)
        # Every prefix of before has to start with one of now, or there is less of it.
        if all(prefixes) and not all(p.startswith(flat) for p in was.prefixes or ("",)):
            below |= dict.fromkeys(flat)
    if below:
        quoted = ", ".join(f'"{prefix}"' for prefix in below)
        parts.append(f"only below {quoted}")
    if was.forward is not None and all(grant.forward is None for grant in now):
        parts.append("without a local port")
    if was.private and not any(grant.private for grant in now):
        parts.append("public addresses only")
    return parts


def difference_rows(
    name: FunctionName,
    difference: GrantDifference,
    before: Iterable[Grant],
    after: Iterable[Grant],
    idle: Iterable[tuple[Grant, list[str]]],
) -> list[tuple[str, str, str]]:
    """Return the rows of a deploy's table: function, what is the matter, the grant.

    `idle` is what the live version has not used; a row tells what of that is granted further.
    What reaches more than one public host has a row of its own in any case: see `in_words_already`.
    """
    granted = tuple(after)
    still = {
        text: {action for grant in grants for action in grant.actions}
        for text, grants in _by_resource(granted).items()
    }
    rows = [("added", describe(grant)) for grant in difference.added]
    rows += [("widened", describe_widening(widened)[2:]) for widened in difference.widened]
    rows += [("removed", describe(grant)) for grant in difference.removed]
    rows += [("narrowed", line) for line in narrowed(before, granted)]
    for grant, actions in idle:
        kept = [action for action in actions if action in still.get(grant.text, ())]
        if kept:
            rows.append(("unused", f"{grant.text}: {', '.join(kept)}"))
    rows += [(_wide(grant), describe(grant)) for grant in granted if _wide(grant)]
    return [(str(name), what, text) for what, text in rows]


def in_words_already(
    name: FunctionName,
    difference: GrantDifference,
    before: Iterable[Grant],
    after: Iterable[Grant],
) -> set[tuple[str, str, str]]:
    """Return those rows of `difference_rows` that tell people again what they know.

    An `added` one has told it, or it was live before just so: who reads the same rows at every
    deploy reads none of them. A document has them all: who looks for what is wide looks for one
    word.
    """
    known = set(before)
    new = {grant.text for grant in difference.added}
    # Of one that was as wide before, only what it allows beyond that is told.
    new |= {w.after.text for w in difference.widened if _wide(w.after) != _wide(w.before)}
    return {
        (str(name), _wide(grant), describe(grant))
        for grant in after
        if _wide(grant) and (grant.text in new or grant in known)
    }


def _wide(grant: Grant) -> str:
    """Return what is unusual of an egress grant, an empty text if nothing is."""
    if grant.kind is not GrantKind.EGRESS:
        return ""
    return "wildcard" if "*" in grant.name else "private" if grant.private else ""
