"""`python -m casemate.child.bound PARENT MODULE ARGUMENT`: a module that ends with its parent.

From the first moment on, and not only once a large module is imported: what it inherits, such as a
listening socket, would keep the next node of a parent that was killed meanwhile from starting.
"""

from __future__ import annotations

import os
import runpy
import sys

from casemate.child.collecting import collect_later
from casemate.kernel.linux import die_with_parent


def main() -> None:
    """Run the module that is named, as if it had been named to Python itself."""
    die_with_parent()
    collect_later()
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)  # it was gone before the kernel was told
    del sys.argv[:2]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
