"""Operations on the data of projects: buckets, tables, queues and topics.

They are declared in manifests and made by deploys; here they are looked at, filled and emptied.
"""

from __future__ import annotations

from casemate.api import buckets, queues, tables

OPERATIONS = (*buckets.OPERATIONS, *tables.OPERATIONS, *queues.OPERATIONS)
