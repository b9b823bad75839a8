"""NoSQL queries. By wrappers of the drivers, which take documents and texts of many languages,
and of clients that send such over HTTP.
"""

from __future__ import annotations

from ..nosql import asked, drivers, paths, sent
from ..sink import Sink

SINK = Sink(
    name=drivers.NAME,
    summary="Queries of MongoDB, Redis, DynamoDB, Elasticsearch and of JSON: data must bring no "
    "operators.",
    calls=asked.CALLS,
    patches={
        **drivers.PATCHES,
        **paths.patches(drivers.NAME),
        **sent.patches(drivers.NAME),
    },
)
