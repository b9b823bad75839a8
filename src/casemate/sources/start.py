"""Starting the sources process, for the supervisor, whenever the gateway asks for it."""

from __future__ import annotations

import os

from casemate.child.start import PLAIN_ENVIRONMENT, ChildProgram
from casemate.child.starter import ChildStarter
from casemate.sources.config import SourceLimits, SourcesConfig

_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables by which the operator says whose certificates to trust."""


class SourcesStarter(ChildStarter):
    """Starts sources processes for one gateway, one at a time."""

    def __init__(
        self,
        uid: int | None,
        *,
        own_addresses: tuple[str, ...] = (),
        limits: SourceLimits | None = None,
    ) -> None:
        """Make the socket pair. `uid` is what to become if this is root, else None."""
        trusted = {name: os.environ[name] for name in _AUTHORITIES if name in os.environ}
        super().__init__(
            ChildProgram(
                module="casemate.sources.process", environment=PLAIN_ENVIRONMENT | trusted
            ),
            lambda control, heart, _: SourcesConfig(
                control=control,
                heart=heart,
                uid=uid,
                own_addresses=own_addresses,
                limits=limits or SourceLimits(),
            ),
        )
