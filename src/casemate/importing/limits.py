"""Every bound of an import: what is beyond is left out and told."""

from __future__ import annotations

MIB = 1 << 20

MAX_FILES = 10_000
"""Files of code that are copied."""
MAX_FILE_BYTES = 32 * MIB
MAX_TOTAL_BYTES = 256 * MIB
MAX_PATH = 400
"""Bytes of a path in the project; a build refuses more than 512 with what it adds."""
MAX_FUNCTIONS = 500
"""Of one project, as its manifest allows."""
MAX_ROUTES = 100
MAX_TRIGGERS = 50
MAX_SECONDS = 60.0
"""Of processor time for reading what all functions need; the audit has bounds for each."""
MAX_SECRETS = 500
"""Values that are looked for in what is copied."""
MAX_TOLD = 2_000
"""Entries of each list that is told."""
MAX_SHOWN = 200
"""Characters of a text of the application that are told."""
