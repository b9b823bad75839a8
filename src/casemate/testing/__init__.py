"""For tests of handlers: contexts that enforce the manifest's grants, and sample events.

    from casemate.testing import TestProject

    project = TestProject("casemate.toml")
    handler(project.event("resize", "bucket-1"), project.context("resize"))

The context and the events are the runner's own; the node's own code decides grants, forms of
requests and samples; only stored data is in memory instead. There is no sandbox, no sink guard, no
contract and no network here: `casemate dev` has these. Importing this offers what handlers import
from `casemate` (`NotFoundError`, `Context`, ...). It may import everything but `cli`, `api` and
`node`, and nothing of ours imports it.
"""

import casemate
from casemate.runner import capabilities
from casemate.runner.context import Context
from casemate.runner.event import Event
from casemate.testing.memory import SentMessage, StoredItem, StoredObject
from casemate.testing.project import TestProject

for _public in (*capabilities.PUBLIC, Context, Event):
    # As `casemate.runner.handlers` does in the sandbox, where this package is not.
    setattr(casemate, _public.__name__, _public)

__all__ = ["SentMessage", "StoredItem", "StoredObject", "TestProject"]
