"""What `casemate dev` has its new node know of packages, which begins without any advisories.

It judges by the advisories of this machine, where they can be relied upon. Where they cannot, an
exception lets the functions be deployed for as long as the run lasts, and that is told: whoever
runs this wrote them, as with the grants that are approved here. A node that is kept refuses them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from casemate.cli.client import NodeClient
from casemate.cli.deployment import Wanted
from casemate.cli.hole_check import judged_bundles
from casemate.cli.node_advisories import send_to
from casemate.cli.terminal import YELLOW, note
from casemate.operations.advisories import ExceptAdvisory

_SECONDS = 86_400
"""A run that lasts for longer is told again with its next deploy."""
REASON = "casemate dev: its node and data are gone when it ends"


class DevPackages:
    """Lets functions with packages be deployed on the node of one run."""

    def __init__(self, client: NodeClient) -> None:
        """Nothing is asked before there is a function with packages."""
        self._client = client
        self._sent = False

    def prepare(self, wanted: Sequence[Wanted]) -> None:
        """Have the node know advisories, or except what cannot be looked up in any."""
        with_packages = [one for one in wanted if one.built.manifest.packages and not one.is_live]
        if not with_packages:
            return
        if not self._sent:
            self._send()
            self._sent = True
        for judged, one in zip(
            judged_bundles(self._client, with_packages), with_packages, strict=True
        ):
            found = judged.judged
            if not found.problems or found.exception:
                continue
            self._client.call(
                ExceptAdvisory(
                    project=one.name.project,
                    function=one.name.function,
                    reason=REASON,
                    seconds=_SECONDS,
                )
            )
            note(
                f"{one.name}: its packages are not looked up here: {found.problems[0]} "
                "A node that is kept refuses that.",
                YELLOW,
            )

    def _send(self) -> None:
        """Send the advisories of this machine to the node, if they can be relied upon."""
        from casemate.advisories import Ecosystem, default_place, look

        place = default_place(os.environ)
        if look(place, time.time(), (Ecosystem.PYPI,)).good:
            send_to(self._client, place, fewer=False)
