"""Import this first, and cedarpy comes without classes for its syntax tree (`cedarpy.pst`).

Nothing of ours uses them, and to make them takes 17 ms of the start of a gateway and half a
megabyte. Whoever imports that module by its name gets it. For the start of a program alone, which
has one thread.
"""

from __future__ import annotations

import sys
from types import ModuleType

_TREE = "cedarpy.pst"

if "cedarpy" not in sys.modules:
    sys.modules[_TREE] = ModuleType(_TREE)
    try:
        import cedarpy

        vars(cedarpy).pop("pst", None)  # so that it is looked for when somebody names it
    finally:
        del sys.modules[_TREE]
