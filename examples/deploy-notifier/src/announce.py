"""Announce a push. Casemate has already verified that the sender knows the secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from casemate import Context, Event

GONE = re.compile(r"0+")
"""The commit that a deleted branch points to."""
SHOWN = 10
"""Digits of a commit that are shown to people."""


def handler(event: Event, context: Context) -> dict[str, Any]:
    """Send one line for people into the queue; `event.detail` is the same from every provider."""
    pushed = event.detail
    what = pushed["repository"].rstrip("/").rpartition("/")[2].removesuffix(".git")
    if GONE.fullmatch(pushed["commit"]):
        text = f"{pushed['sender']} deleted {pushed['branch']} of {what}"
    else:
        text = (
            f"{pushed['sender']} pushed {pushed['commit'][:SHOWN]} to {pushed['branch']} of {what}"
        )
    # A push that is delivered twice is announced once.
    context.queue("announcements").send({"text": text}, deduplication=event.id)
    context.log.info("announced", repository=pushed["repository"], commit=pushed["commit"])
    return {"announced": text}
