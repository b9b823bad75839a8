"""The process that fetches a cluster's vault: `python -m casemate.nodes.vault_copy_process CONFIG`.

Confined as the gateway is, since it speaks to the same server in the same way, also over a socket
of this machine; and it writes no file but the one it was given.
"""

from __future__ import annotations

import os
import sys

import msgspec

from casemate.child.failure import Failure
from casemate.child.gateway_confinement import confine
from casemate.decoding import decodable
from casemate.model.errors import CasemateError
from casemate.model.processes import STORE_VARIABLE
from casemate.nodes.vault_copy import MAX_STATE, FetchConfig, Fetched
from casemate.postgresql.settings import Settings
from casemate.store.postgresql.shared_vault import fetched_state
from casemate.store.postgresql.store import SCHEMA


def fetch(config: FetchConfig, url: str) -> Fetched:
    """Write the state into the file, or say why not."""
    try:
        settings = Settings.of_url(url, weak_tls_accepted=config.unproved)
        state = fetched_state(settings, SCHEMA, MAX_STATE)
    except CasemateError as error:
        return Fetched(failure=Failure(type(error).__name__, error.message, error.next_step))
    if state is None:
        return Fetched()
    written = 0
    while written < len(state):
        written += os.pwrite(config.into, state[written:], written)
    return Fetched(size=len(state))


def main() -> int:
    """Fetch it; return the exit code."""
    config = msgspec.json.decode(sys.argv[1], type=decodable(FetchConfig))
    url = os.environ.pop(STORE_VARIABLE)
    confine(config.uid, only_reads=True)
    found = fetch(config, url)
    try:
        os.write(sys.stdout.fileno(), msgspec.json.encode(found))
    except BrokenPipeError:
        return 1  # the supervisor that asked was killed
    return 0


if __name__ == "__main__":
    sys.exit(main())
