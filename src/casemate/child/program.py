"""`python -I -m casemate.child.program MODULE CONFIG`: how each process of ours begins.

Before anything else `lean_msgspec`, then the module that is named, as if it had been named to
Python itself.
"""

from __future__ import annotations

import runpy
import sys

import casemate.child.lean_msgspec  # noqa: F401 - before the module's own
from casemate.child.collecting import collect_later


def main() -> None:
    """Run the module that is named."""
    collect_later()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
