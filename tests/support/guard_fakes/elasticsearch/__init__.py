"""The part of the client of Elasticsearch that tests need."""

from __future__ import annotations

from elasticsearch._sync.client import Elasticsearch

__all__ = ["Elasticsearch"]
