"""Objects in parts."""

from __future__ import annotations

import asyncio

import pytest
from data_support import RESOURCES, Data

from casemate.data import MAX_PART, LimitError
from casemate.data import uploads as uploads_module
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError

FOR_SQLITE_ALONE: frozenset[str] = frozenset()


def begin(data: Data, key: str = "k", bucket: str = "files") -> str:
    return data.begin_object("p", bucket, key, content_type="text/plain", metadata={"a": "b"})


@pytest.mark.parametrize(
    "sizes",
    [(), (0,), (10,), (32 * 1024,), (32 * 1024 + 1,), (65536, 65536), (70_000, 1, 0, 200_000)],
)
def test_parts_become_an_object(data: Data, sizes) -> None:
    parts = [bytes([index]) * size for index, size in enumerate(sizes)]
    upload = begin(data)
    so_far = 0
    for part in parts:
        so_far += len(part)
        assert data.add_part("p", "files", upload, part) == so_far
    with pytest.raises(NotFoundError):
        data.get_object("p", "files", "k")
    info = data.commit_object("p", "files", upload)
    assert (info.size, info.content_type, info.metadata) == (so_far, "text/plain", {"a": "b"})
    assert data.get_object("p", "files", "k") == (info, b"".join(parts))
    assert len(data.files()) == (so_far > 32 * 1024)
    with pytest.raises(NotFoundError):
        data.commit_object("p", "files", upload)
    data.reopen()
    assert data.get_object("p", "files", "k") == (info, b"".join(parts))


def test_a_refused_commit_leaves_nothing(data: Data) -> None:
    data.put_object("p", "files", "k", b"x")
    upload = begin(data)
    data.add_part("p", "files", upload, b"y" * 100_000)
    with pytest.raises(ConflictError):
        data.commit_object("p", "files", upload, if_revision=0)
    assert data.files() == []
    assert data.get_object("p", "files", "k")[1] == b"x"
    with pytest.raises(NotFoundError):
        data.add_part("p", "files", upload, b"")


def test_abort(data: Data) -> None:
    upload = begin(data)
    data.add_part("p", "files", upload, b"y" * 100_000)
    assert len(data.files()) == 1
    data.abort_object("p", "files", upload)
    data.abort_object("p", "files", upload)
    assert data.files() == []


def test_an_upload_belongs_to_its_bucket_and_project(data: Data) -> None:
    data.ensure("q", RESOURCES)
    upload = begin(data)
    for project, bucket in (("q", "files"), ("p", "other")):
        with pytest.raises(NotFoundError):
            data.add_part(project, bucket, upload, b"x")
        with pytest.raises(NotFoundError):
            data.commit_object(project, bucket, upload)
        data.abort_object(project, bucket, upload)
    for bad in ("", "../x", upload.upper() + "x", None, 5):
        with pytest.raises(NotFoundError):
            data.add_part("p", "files", bad, b"x")
    assert data.add_part("p", "files", upload, b"x") == 1


def test_limits(data: Data, monkeypatch) -> None:
    upload = begin(data, bucket="small")
    assert data.add_part("p", "small", upload, b"x" * 100) == 100
    with pytest.raises(LimitError):
        data.add_part("p", "small", upload, b"x")
    second, third = begin(data, "b", "small"), begin(data, "c", "small")
    data.add_part("p", "small", second, b"x" * 100)
    with pytest.raises(LimitError):
        data.add_part("p", "small", third, b"x" * 51)
    with pytest.raises(InvalidInputError):
        data.add_part("p", "small", third, b"x" * (MAX_PART + 1))
    with pytest.raises(InvalidInputError):
        data.add_part("p", "small", third, "text")
    data.commit_object("p", "small", upload)
    data.put_object("p", "small", "d", b"x" * 100)
    with pytest.raises(LimitError):
        data.commit_object("p", "small", second)
    monkeypatch.setattr(uploads_module, "MAX_UPLOADS", 1)
    with pytest.raises(LimitError):
        begin(data)


def test_forgotten_after_an_hour(data: Data, monkeypatch) -> None:
    upload = begin(data)
    data.add_part("p", "files", upload, b"y" * 100_000)
    monkeypatch.setattr(uploads_module, "UPLOAD_SECONDS", -1.0)
    with pytest.raises(NotFoundError):
        data.add_part("p", "files", upload, b"x")
    begin(data)
    assert data.files() == []


def test_parts_at_once_do_not_mix_and_cancelling_breaks_none(data: Data) -> None:
    async def race(upload: str) -> None:
        tasks = [
            asyncio.ensure_future(data.port.add_part("p", "files", upload, bytes([n]) * 70_000))
            for n in range(8)
        ]
        await asyncio.sleep(0.002)
        for task in tasks[::3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    upload = begin(data)
    data.run(race(upload))
    info = data.commit_object("p", "files", upload)
    pieces = info.size // 70_000
    content = data.get_object("p", "files", "k")[1]
    assert len(content) == pieces * 70_000
    for number in range(pieces):
        part = content[number * 70_000 : (number + 1) * 70_000]
        assert len(set(part)) == 1


def test_an_upload_outlives_the_closing_of_an_idle_project(tmp_path) -> None:
    from casemate.data import DataOptions

    data = Data(tmp_path / "d", options=DataOptions(max_open=1))
    upload = begin(data)
    data.add_part("p", "files", upload, b"1" * 100_000)
    data.ensure("q", RESOURCES)
    assert list(data.port._projects.opened) == ["q"]
    data.add_part("p", "files", upload, b"2" * 100_000)
    assert data.commit_object("p", "files", upload).size == 200_000
    assert data.get_object("p", "files", "k")[1] == b"1" * 100_000 + b"2" * 100_000
    data.finish()


def test_an_upload_does_not_go_into_a_bucket_that_was_made_anew(data: Data) -> None:
    upload = begin(data)
    data.add_part("p", "files", upload, b"of before")
    data.drop("p", "bucket", "files")
    data.ensure("p", RESOURCES)
    with pytest.raises(NotFoundError, match="created again"):
        data.commit_object("p", "files", upload)
    assert data.list_objects("p", "files").objects == ()
    assert data.files() == []


def test_closing_forgets_uploads(data: Data) -> None:
    upload = begin(data)
    data.add_part("p", "files", upload, b"y" * 100_000)
    data.reopen()
    assert data.files() == []
    with pytest.raises(NotFoundError):
        data.commit_object("p", "files", upload)
