"""Casemate: the serverless platform you run yourself that is secure before you configure it."""

import sys

__version__ = "0.1.0"

# httpx imports a command line of its own, with all that draws it: 0.2 s of every start. Told that
# there is none, it goes on without (httpx/__init__.py).
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
