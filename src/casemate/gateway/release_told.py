"""Tells that this data is run by another release than the last time, in whatever way that came."""

from __future__ import annotations

import time
from collections.abc import Callable

from casemate import __version__
from casemate.model.facts import Fact, ReleaseChanged
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.store.interface import Store

RELEASE_VALUE = "release"
_MAX_VERSION = 64


async def tell_release(
    store: Store, happened: Callable[[Fact], None], version: str = __version__
) -> None:
    """Tell of a change of the release, and remember the one that runs.

    Told first: a start that is ended in between tells it again, rather than never.
    """
    kept = await store.read(ReadNodeValue(name=RELEASE_VALUE))
    before = kept[:_MAX_VERSION].decode("ascii", "replace") if kept else ""
    if before == version:
        return
    if before:
        happened(ReleaseChanged(at=time.time(), release=version, before=before))
    await store.change(KeepNodeValue(name=RELEASE_VALUE, value=version.encode()))
