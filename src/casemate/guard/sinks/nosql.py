"""NoSQL queries. By wrappers of the drivers, which take documents and texts of many languages."""

from __future__ import annotations

from ..nosql import drivers, paths
from ..sink import Sink

SINK = Sink(
    name=drivers.NAME,
    summary="Queries of MongoDB, Redis, DynamoDB, Elasticsearch and of JSON: data must bring no "
    "operators.",
    patches={**drivers.PATCHES, **paths.patches(drivers.NAME)},
)
