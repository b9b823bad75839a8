"""By which names an incident is known.

It is named by the first of its findings, and one that was earlier may come to be known: what was
kept under its name of then is still of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from casemate.model.errors import NotFoundError
from casemate.monitor.interface import Monitor


async def names_of_same(monitor: Monitor, id: str, names: Iterable[str]) -> set[str]:
    """Return which of some names of incidents are of the one that is called `id`.

    Of one that is forgotten by now, those alone that are `id`. Raises MonitorUnavailableError.
    """
    same, others = set[str](), set(names)
    if id in others:
        same.add(id)
    with contextlib.suppress(NotFoundError):
        incident = await monitor.incident(id)
        for name in others - same:
            if incident.is_called(name):
                same.add(name)
                continue
            # It has more findings than it names.
            with contextlib.suppress(NotFoundError):
                if (await monitor.incident(name)).id == incident.id:
                    same.add(name)
    return same
