"""Bounds on what an index answers and on the policy file. Sizes are bytes, times are seconds."""

from __future__ import annotations

MIB = 1024 * 1024

MAX_POLICY_BYTES = MIB
MAX_LIST_BYTES = 64 * MIB
"""The list of a project's files, unpacked."""
MAX_FILES = 100_000
"""Files of one project in one list."""
MAX_METADATA_BYTES = 4 * MIB
MAX_PROVENANCE_BYTES = 4 * MIB
MAX_WHEEL_BYTES = 1024 * MIB
MAX_REDIRECTS = 5
MAX_REASON_CHARS = 300
MAX_EXCEPTIONS = 1_000
MAX_INDEXES = 16
MAX_REFUSALS = 500
"""Refusals that are remembered, to be told if the build cannot go on without what was refused."""
MAX_EXCEPTION_DAYS = 366
"""How far in the future an exception may end."""

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
LIST_SECONDS = 60.0
"""How long the whole of one list, or of one document, may take."""
FILE_SECONDS = 480.0
"""How long one distribution may take."""
MAX_CONNECTIONS = 256
"""Connections to the index on loopback; uv has up to 50. Further ones are closed."""
IDLE_SECONDS = 20.0
"""How long one of them may say nothing, or read nothing."""

COOL_DOWN_DAYS = 14
MAX_COOL_DOWN_DAYS = 365
