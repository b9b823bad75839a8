"""Fixtures of the tests of blobs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.s3 import S3Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    started = S3Server(tmp_path_factory.mktemp("s3"))
    yield started
    started.close()
