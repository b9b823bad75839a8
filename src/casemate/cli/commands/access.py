"""`casemate access`: who and what has which rights, and whether they keep them."""

from __future__ import annotations

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import GREEN, YELLOW, note, print_line, print_table
from casemate.cli.text import moment
from casemate.operations.access import (
    Access,
    AccessPage,
    AccessReview,
    AccessRules,
    KeepAccess,
    RemoveAccess,
    RemovedAccess,
    ReviewAccess,
    SetAccessRules,
)

app = new_app("Review who and what has which rights, and keep or take them.")


def _used(one: Access) -> str:
    if not one.used_known:
        return "not known"
    return "never" if one.last_used is None else moment(one.last_used)


def _reviewed(one: Access) -> str:
    if one.review is None:
        return "never"
    own = ", of its own" if one.review.own else ""
    return f"{moment(one.review.at)} by {one.review.by}{own}"


@answered(
    app,
    ReviewAccess,
    examples="$ casemate access review\n$ casemate access review --overdue\n"
    "$ casemate access review shop --kind token --json",
)
def review(found: AccessPage) -> None:
    """List people, tokens, third parties and functions, with their rights and last use.

    For people the last use is known to the hour, for functions to the day. Rights that nobody has
    reviewed for as long as `access every` says are overdue, and `audit node` reports them.
    """
    print_table(
        ("id", "name", "last used", "reviewed", "due", "rights"),
        [
            (
                one.id,
                one.name,
                _used(one),
                _reviewed(one),
                "overdue" if one.overdue else moment(one.due),
                "; ".join(one.rights),
            )
            for one in found.entries
        ],
        empty="Nobody has rights that fit.",
        below=("rights", "reviewed"),
    )
    if found.node_wide:
        note(f"{found.node_wide} more have rights on the whole node, and so on this project.")
    if found.after:
        note(f"There are {found.total}: go on with --after {found.after}")
    if found.overdue:
        note(f"{found.overdue} of {found.total} are due for review.", YELLOW)


@answered(
    app,
    KeepAccess,
    examples="$ casemate access keep token:9f2c51aa03b1e7d4 --reason 'builds the shop'\n"
    "$ casemate access keep user:ada --reason 'still on the team'",
)
def keep(done: AccessReview) -> None:
    """Record that you reviewed somebody's or something's rights, and that they stay."""
    print_line(f"{done.subject} keeps its rights.", GREEN)
    if done.own:
        note("It is recorded that these are your own: have somebody else look as well.", YELLOW)


@answered(
    app,
    RemoveAccess,
    confirm="Take the rights of {it.id}?",
    examples="$ casemate access remove token:9f2c51aa03b1e7d4 --reason 'nobody knows it'\n"
    "$ casemate access remove user:bob --role developer@shop --reason 'moved to billing' --yes",
)
def remove(done: RemovedAccess) -> None:
    """Take somebody's or something's rights away, and record why.

    A token is revoked, with everything made with it; a person loses one role or all; the OpenID
    provider or a pipeline is no longer trusted. The last owner stays. The rights of functions and
    their triggers are in their manifests.
    """
    print_line(f"{done.id}: {done.done}.", GREEN)
    if done.undo:
        note(f"Taken back by: {done.undo}")


@answered(app, SetAccessRules, name="every", examples="$ casemate access every 30")
def every(rules: AccessRules) -> None:
    """Set after how many days rights are due for review; 90 by default."""
    print_line(f"Rights are due for review every {rules.days} days.", GREEN)
