"""The path: the one way from a trigger's raw input to a sealed answer.

`pipeline.py` is all of it. Not the work of any stage. May import `admission`, `dispatch`, `seal`,
`sandbox`, `policy` and `model`.
"""

from casemate.invocation.overload import LoadRefusals
from casemate.invocation.pipeline import Pipeline

__all__ = ["LoadRefusals", "Pipeline"]
