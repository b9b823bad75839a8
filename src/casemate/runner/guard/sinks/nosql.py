"""NoSQL queries. By wrappers of the drivers, which take documents and texts of many languages."""

from __future__ import annotations

from ..nosql import drivers
from ..sink import Sink

SINK = Sink(
    name=drivers.NAME,
    summary="Queries of MongoDB, Redis, DynamoDB, Elasticsearch: data must bring no operators.",
    patches=drivers.PATCHES,
)
