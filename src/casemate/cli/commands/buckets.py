"""`casemate buckets`: buckets and their objects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.file_input import content_of
from casemate.cli.new_file import write_new
from casemate.cli.operation_command import Call, answered, asked, name_of
from casemate.cli.options import JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.resources import project_alone, resolve_resource
from casemate.cli.terminal import note, print_json, print_table, print_written
from casemate.cli.text import moment, size
from casemate.cli.values import require_text
from casemate.model.data import ObjectPage
from casemate.operations.objects import (
    Buckets,
    DeleteObject,
    DropBucket,
    GetObject,
    ListBuckets,
    ListObjects,
    PutObject,
)

app = new_app("List buckets and their objects; get, put and remove objects.")

MAX_UPLOAD = 64 << 20
_TRANSFER_SECONDS = 600.0

BucketArgument = Annotated[
    str, typer.Argument(metavar="PROJECT/BUCKET", help="The bucket, such as shop/uploads.")
]


@answered(
    app,
    ListBuckets,
    examples="$ casemate buckets ls\n$ casemate buckets ls shop",
    read={"project": project_alone("casemate buckets objects")},
)
def ls(found: Buckets, call: Call) -> None:
    """List the buckets of a project."""
    project = call.operation.project
    print_table(
        ("bucket", "object at most", "all at most", "revisions kept"),
        [
            (f"{project}/{b.name}", size(b.max_object), size(b.max_total), str(b.versions))
            for b in found.buckets
        ],
        empty=f"The project {project} has no buckets that you may list.",
    )


@answered(
    app,
    ListObjects,
    examples="""\
$ casemate buckets objects shop/uploads
$ casemate buckets objects shop/uploads --prefix 2026/ --folders
""",
)
def objects(page: ObjectPage, call: Call) -> None:
    """List the objects of a bucket, in the byte order of their keys."""
    rows = [
        (o.key, size(o.size), str(o.revision), o.content_type, moment(o.modified_at))
        for o in page.objects
    ]
    rows += [(group, "", "", "", "") for group in page.prefixes]
    print_table(
        ("key", "size", "revision", "type", "changed"),
        sorted(rows),
        empty=f"The bucket {call.name} has no such objects.",
        below=("type",),
    )
    if page.after is not None:
        note(f"There are more: --after {page.after!r}")


@asked(
    app,
    GetObject,
    examples="""\
$ casemate buckets get shop/uploads logo.png --output logo.png
$ casemate buckets get shop/uploads notes.txt | less
""",
)
def get(
    wanted: GetObject,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this new file.")
    ] = None,
) -> None:
    """Print the content of an object, or write it to a file."""
    if output is None and sys.stdout.isatty():
        raise UsageError(
            "The content would go to the terminal as it is.",
            next_step="Name a file with --output, or pipe it into a program.",
        )
    with connect() as client:
        content = client.call(wanted, seconds=_TRANSFER_SECONDS)
    if output is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    write_new(output, content, "--output")
    note(f"{output}: {size(len(content))}")


@asked(
    app,
    PutObject,
    examples="""\
$ casemate buckets put shop/uploads logo.png logo.png --type image/png
$ tar c notes | casemate buckets put shop/uploads notes.tar -
""",
)
def put(
    written: PutObject,
    *,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The content; `-` is standard input.")
    ],
    content_type: Annotated[
        str | None,
        typer.Option(
            "--type", metavar="TYPE", help="Media type of the content. Default: by the file's name."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write an object of at most 64 MB: whole, or not at all."""
    content = _read(file)
    with connect() as client:
        info = client.call(
            written,
            content=content,
            headers={"content-type": content_type or _type_of(file.name, written.key)},
            seconds=_TRANSFER_SECONDS,
        )
    if json:
        print_json(info)
    else:
        told = f"{name_of(written)} {info.key}: revision {info.revision}, {size(info.size)}."
        print_written(told)  # a key is long, and copied


def _type_of(*names: str) -> str:
    """Return the media type that the first of some names ends with, by Python's own table."""
    from mimetypes import MimeTypes  # not above: help is shown without it

    known = MimeTypes()
    for name in names:
        found, _ = known.guess_type(f"file{Path(name).suffix}")  # nothing else is read of a name
        if found is not None:
            return found
    return "application/octet-stream"


def _read(file: Path) -> bytes:
    content = content_of(file, str(file), MAX_UPLOAD)
    if len(content) > MAX_UPLOAD:
        raise UsageError(
            f"{file} has more than {size(MAX_UPLOAD)}, which is the most for one request.",
            next_step="Have a function write it in parts.",
        )
    return content


@command(
    app,
    examples="""\
$ casemate buckets rm shop/uploads logo.png
$ casemate buckets rm shop/uploads --all
""",
)
def rm(
    bucket: BucketArgument,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="The object's key.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Delete the bucket with everything in it.")
    ] = False,
    yes: YesOption = False,
    json: JsonOption = False,
) -> None:
    """Delete an object with its revisions, or with --all the bucket. There is no way back."""
    if (key is None) != everything:
        raise UsageError(
            "Give a KEY, or --all for the whole bucket.", next_step="See `casemate buckets rm -h`."
        )
    name = resolve_resource("bucket", bucket)
    with connect() as client:
        if key is None:
            confirm(f"Delete the bucket {name} of {client.url} with all its objects?", yes=yes)
            client.call(DropBucket(project=name.project, bucket=name.name))
            told, gone = f"The bucket {name} is deleted.", {"removed": str(name)}
        else:
            confirm(f"Delete {key!r} from {name} of {client.url}?", yes=yes)
            item = DeleteObject(
                project=name.project, bucket=name.name, key=require_text("The key", key)
            )
            client.call(item)
            told, gone = f"{key} is deleted from {name}.", {"removed": str(name), "key": key}
    if json:
        print_json(gone)
    else:
        print_written(told)
