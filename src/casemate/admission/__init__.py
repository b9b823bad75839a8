"""Stage 2: who may invoke what, and which version that is. Deny unless allowed.

Not the parsing of requests (`invocation`) and no decision about where they run (`dispatch`).
May import `contracts`, `policy`, `model` and the decoders of `guard` only.
"""

from casemate.admission.admit import Admission, Authenticator
from casemate.admission.catalogue import DIRECT, Catalogue, Closure
from casemate.admission.routes import Route

__all__ = ["DIRECT", "Admission", "Authenticator", "Catalogue", "Closure", "Route"]
