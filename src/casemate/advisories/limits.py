"""Bounds on advisories and on where they come from. Sizes are bytes, times are seconds."""

from __future__ import annotations

MIB = 1024 * 1024

MAX_RECORD_BYTES = 4 * MIB
"""One OSV record."""
MAX_RECORDS = 1_000_000
"""Files of one import, whatever they hold."""
MAX_INPUT_BYTES = 4096 * MIB
"""All files of one import together, unpacked."""
MAX_ARCHIVE_BYTES = 1024 * MIB
"""One archive, as it is stored or comes over the network."""
MAX_DIRECTORY_BYTES = 64 * MIB
"""The central directory of a zip archive, which is read into memory."""
MAX_RATIO = 100
"""Unpacked to packed bytes of an archive, once it is past RATIO_FREE_BYTES."""
RATIO_FREE_BYTES = 64 * MIB
MAX_PATH_CHARS = 512
MAX_FOLDER_DEPTH = 16

MAX_AFFECTED = 5_000
"""Packages that one record names."""
MAX_RANGES = 1_000
"""Ranges of one package in one record."""
MAX_EVENTS = 4_000
"""Events of one range."""
MAX_VERSIONS = 50_000
"""Versions of one package that one record lists."""
MAX_ALIASES = 1_000
MAX_SEVERITIES = 20
MAX_SYMBOLS = 100
"""Functions with the hole that a record names of one package; of more it is as if it named none."""
MAX_SYMBOL_CHARS = 200
MAX_VERSION_CHARS = 256
MAX_NAME_CHARS = 256
MAX_ID_CHARS = 128
MAX_SUMMARY_CHARS = 300
MAX_DETAILS_CHARS = 4_000
MAX_REFERENCES = 40

MAX_ENRICHMENT_BYTES = 256 * MIB
"""A file of known exploited vulnerabilities, or of EPSS scores, unpacked."""
MAX_LOCK_BYTES = 16 * MIB
"""A lock or SBOM that is checked."""
MAX_PACKAGES = 50_000
"""Packages of one lock or SBOM."""
MAX_BLOCK_BYTES = 256 * MIB
"""All advisories of one package in the database, and one record of it unpacked."""
MAX_RECEIVED_BLOCK_BYTES = 16 * MIB
"""The same in a database that somebody else has compiled."""
MAX_INDEX_BYTES = 256 * MIB
MAX_COMPILED_BYTES = 2048 * MIB
"""What all records of an import come to in the database; while they are read it is in memory."""
MAX_COMPILED_RECORD_BYTES = 32 * MIB
"""The same of one record, which names each of its aliases for each of its packages."""

MAX_AGE = 7 * 86400.0
"""How old the last successful import may be."""
QUIET_AGE = 14 * 86400.0
"""How old the newest record may be before `status` warns: somebody may be serving an old copy."""
CLOCK_SLACK = 300.0
"""How far in the future an import may lie, by clocks that differ."""
IMPORT_SECONDS = 1800.0
DOWNLOAD_SECONDS = 900.0
CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
MAX_REDIRECTS = 5
