"""Stage 2: who may invoke what, and which version that is. Deny unless allowed.

Not the parsing of requests (`invocation`) and no decision about where they run (`dispatch`).
May import `model` only.
"""

from casemate.admission.admit import Admission
from casemate.admission.catalogue import Catalogue
from casemate.admission.keys import Keyring, new_key
from casemate.admission.routes import Route

__all__ = ["Admission", "Catalogue", "Keyring", "Route", "new_key"]
