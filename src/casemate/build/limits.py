"""Bounds on what may go into a bundle. Sizes are bytes, times are seconds."""

from __future__ import annotations

MIB = 1024 * 1024

MAX_SOURCE_FILES = 20_000
"""Files of the source tree, and again of the dependencies, before compilation."""
MAX_SOURCE_FOLDERS = 20_000
"""Folders of the source tree, each as often as links lead to it."""
MAX_BUNDLE_FILES = 100_000
"""Both trees, each file with its compiled form, the function's own with its rewritten form, too."""
MAX_BUNDLE_BYTES = 1024 * MIB
MAX_PATH_BYTES = 512
MAX_NAME_BYTES = 255
"""One component of a path (NAME_MAX of every common file system)."""
MAX_DEPTH = 32
MAX_MANIFEST_BYTES = 32 * MIB
"""Size of `bundle.json`."""
MAX_REQUIREMENTS_BYTES = 4 * MIB
"""One requirements or lock file."""
MAX_RATIO = 200
"""Uncompressed to compressed bytes of an archive, once it is past RATIO_FREE_BYTES."""
RATIO_FREE_BYTES = 16 * MIB

COPY_TIMEOUT = 300.0
LOCK_TIMEOUT = 300.0
INSTALL_TIMEOUT = 600.0
COMPILE_TIMEOUT = 300.0
BUILD_TIMEOUT = 120.0
"""Of a source distribution, for which an exception is recorded."""
WAIT_TIMEOUT = 900.0
"""How long a build waits for another one of the same function or dependencies."""
UNPACK_TIMEOUT = 120.0
