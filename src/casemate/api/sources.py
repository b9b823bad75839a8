"""Operation on sources: how the servers outside are that triggers read from."""

from __future__ import annotations

from casemate.api.authorization import function_of
from casemate.api.performing import Call, Performers
from casemate.api.served import all_served
from casemate.model.principal import Action
from casemate.operations import sources
from casemate.operations.sources import ListSources, Sources

performs = Performers()


@performs(ListSources)
async def _list(operation: ListSources, call: Call) -> Sources:
    return Sources(
        sources=tuple(
            source
            for source in call.service.sources()
            if operation.project in (None, source.project)
            and call.may(Action.FUNCTION_READ, function_of(source.project, source.function))
        )
    )


OPERATIONS = all_served(sources, performs)
