"""What of the environment leads a command into the folder that one stands in.

That may be a stranger's project: a `git`, a `bwrap` or a Python in it would run outside of any
sandbox, and a cache in it be trusted.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

FOLDERS = (
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
    *("PYENV_ROOT", "UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR", "VIRTUAL_ENV"),
)
"""Variables that name a folder of the user's. Relative ones are to be passed over (XDG Base
Directory Specification 0.8)."""


def leave_out_relative(environ: MutableMapping[str, str]) -> None:
    """Leave out the folders that are not named from the root, those of PATH as well."""
    for name in FOLDERS:
        if name in environ and not environ[name].startswith("/"):
            del environ[name]
    if "PATH" in environ:
        kept = [folder for folder in environ["PATH"].split(os.pathsep) if folder.startswith("/")]
        # An empty PATH is the folder that one stands in.
        environ["PATH"] = os.pathsep.join(kept) or os.defpath
