import msgspec
import pytest

from casemate.manifest import ManifestError
from casemate.manifest.tables import FUNCTION, HTTP, LIMITS
from casemate.manifest.trigger_tables import DELIVERY, TABLES
from casemate.model.errors import CasemateError, InvalidInputError
from casemate.model.function import (
    Delivery,
    FunctionSpec,
    HttpTrigger,
    Isolation,
    Limits,
    Project,
    Trust,
)

FULL = """
[project]
name = "shop"

[function.thumbnail]
handler = "thumbnail:handler"
description = "Makes images small."
python = "3.13"
source = "./src/"
requirements = "requirements.txt"
isolation = "instance"
trust = "low"
public = true

[function.thumbnail.limits]
memory = "512MB"
cpu = 2
processes = 8
open_files = 64
timeout = "250ms"
tmp = "1.5MB"
request = "1KiB"
response = "100MB"
log = "1MB"
concurrency = 1000
queue = 0
queue_time = "1m"
warm = 3
keep = "1h"

[[function.thumbnail.http]]
method = "POST"
path = "/thumbnail/{size}"

[[function.thumbnail.http]]
method = "*"
path = "/{rest...}"

[function.plain]
handler = "app:handler"
"""


def test_every_key_reaches_the_model(project):
    (project.root / "src").mkdir()
    (project.root / "src" / "thumbnail.py").write_text("async def handler(e, c): ...")
    (project.root / "requirements.txt").write_text("pillow\n")
    assert project.load(FULL) == Project(
        name="shop",
        functions=(
            FunctionSpec(
                name="thumbnail",
                handler="thumbnail:handler",
                description="Makes images small.",
                python="3.13",
                source="src",
                requirements="requirements.txt",
                isolation=Isolation.INSTANCE,
                trust=Trust.LOW,
                public=True,
                limits=Limits(
                    memory=512 * 1024**2,
                    cpu=2.0,
                    processes=8,
                    open_files=64,
                    timeout=0.25,
                    tmp=1536 * 1024,
                    request=1024,
                    response=100 * 1024**2,
                    log=1024**2,
                    concurrency=1000,
                    queue=0,
                    queue_time=60.0,
                    warm=3,
                    keep=3600.0,
                ),
                http=(
                    HttpTrigger(method="POST", path="/thumbnail/{size}"),
                    HttpTrigger(method="*", path="/{rest...}"),
                ),
            ),
            FunctionSpec(name="plain", handler="app:handler"),
        ),
    )


def test_no_more_are_kept_ready_than_may_run(project, function_text):
    assert project.load(function_text("limits.warm = 16")).functions[0].limits.warm == 16
    problem = project.problem(function_text("limits.warm = 17"))
    assert (problem.key, problem.found) == ("function.f.limits.warm", "17")
    assert "at most concurrency, which is 16" in problem.expected
    project.problem(function_text("limits.warm = 2", "limits.concurrency = 1"))


def test_the_tables_have_the_models_keys():
    def names(model):
        return {field.name for field in msgspec.structs.fields(model)}

    kinds = {kind.value for kind in TABLES}
    fields = names(FunctionSpec) - {"name", "triggers", "grants_in_tables"}
    assert {f.name for f in FUNCTION.fields} == fields | kinds
    assert {f.name for f in DELIVERY.fields} == names(Delivery)
    for model, table in TABLES.values():
        assert {f.name for f in table.fields} == names(model)
    assert {f.name for f in LIMITS.fields} == names(Limits)
    assert {f.name for f in HTTP.fields} == names(HttpTrigger)


def test_written_defaults_are_the_models(project, function_text):
    lines = [
        f"limits.{field.name} = {msgspec.json.encode(field.default).decode()}"
        for field in LIMITS.fields
    ]
    lines += [
        f"{field.name} = {msgspec.json.encode(field.default).decode()}"
        for field in FUNCTION.fields
        if field.default is not None
    ]
    assert project.load(function_text(*lines)) == project.load(function_text())


def test_other_ways_to_write_it_are_the_same(project, function_text):
    plain = project.load(
        function_text("limits.cpu = 2", "[[function.f.http]]", 'method = "GET"', 'path = "/"')
    )
    inline = project.load(
        'project.name = "shop"\r\n"function" = {f = {handler = \'app:handler\', limits.cpu = 2.0,'
        ' "http" = [{method = "GET", path = """/"""}]}}'
    )
    assert inline == plain


BROKEN = """\
[project]
name = "Shop"
nmae = "x"
[function.f]
handlr = "app:handler"
source = "../x"
[function.f.limits]
memory = 64
timeout = "1d"
[[function.f.http]]
method = "get"
path = "/a/../b"
[[function.g.http]]
path = "/api"
[functions.h]
[function.i]
handler = "app:nothing"
requirements = "none.txt"
[function.J]
handler = 3
public = "yes"
limits = []
"""


def test_all_mistakes_are_told_at_once_where_they_are(project):
    problems = project.problems(BROKEN)
    told = {(p.key, p.line) for p in problems}
    assert told == {
        ("project.name", 2),
        ("project.nmae", 3),
        ("function.f.handler", 4),
        ("function.f.handlr", 5),
        ("function.f.source", 6),
        ("function.f.limits.memory", 8),
        ("function.f.limits.timeout", 9),
        ("function.f.http[0].method", 11),
        ("function.f.http[0].path", 12),
        ("function.g.handler", 13),
        ("function.g.http[0].method", 13),
        ("function.g.http[0].path", 14),
        ("functions", 15),
        ("function.i.handler", 17),
        ("function.i.requirements", 18),
        ("function.J", 19),
        ("function.J.handler", 20),
        ("function.J.public", 21),
        ("function.J.limits", 22),
    }
    assert [p.line for p in problems] == sorted(p.line for p in problems)
    expected = {p.key: p.expected for p in problems}
    assert expected["project.nmae"].endswith('did you mean "name"?')
    assert expected["function.f.handlr"].endswith('did you mean "handler"?')
    assert expected["functions"].endswith('did you mean "function"?')


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", ["project", "function"]),
        ("project = 1\nfunction = 2", ["project", "function"]),
        ('[project]\nname = "a"\n[function]', ["function"]),
        ('[project]\nname = "a"\n[[function]]', ["function"]),
        ('project.name = "a"\nfunction.f = []', ["function.f"]),
        ('project.name = "a"\nfunction.f = 1979-05-27', ["function.f"]),
    ],
)
def test_tables_of_the_wrong_kind(project, text, keys):
    assert [p.key for p in project.problems(text)] == keys


def test_http_as_a_plain_table_is_told_the_two_brackets(project, function_text):
    problem = project.problem(function_text("[function.f.http]", 'method = "GET"', 'path = "/"'))
    assert problem.found == "a table"
    assert "[[...]] with two brackets" in problem.expected


def test_the_same_route_twice_names_the_first(project, function_text):
    text = function_text(
        'http = [{method = "GET", path = "/a/{x}"}, {method = "POST", path = "/a/{x}"}]',
        "[function.g]",
        'handler = "app:handler"',
        'http = [{method = "GET", path = "/a/{y}"}]',
    )
    problem = project.problem(text)
    assert problem.key == "function.g.http[0].path"
    assert problem.line == 8
    assert "function.f on line 5" in problem.found


def test_a_wrong_source_hides_no_false_alarm(project, function_text):
    text = function_text('source = "nowhere"', handler="other:handler")
    assert project.problem(text).key == "function.f.source"
    text = function_text("source = 3", 'requirements = "x.txt"', handler="other:handler")
    assert {p.key for p in project.problems(text)} == {
        "function.f.source",
        "function.f.requirements",
    }


def test_links_out_of_the_project_and_loops_are_refused(project, function_text):
    (project.root / "out").symlink_to("..")
    (project.root / "loop").symlink_to("loop")
    (project.root / "r.txt").symlink_to("/etc/hostname")
    for name in ("out", "loop"):
        assert project.problem(function_text(f'source = "{name}"')).key == "function.f.source"
    problem = project.problem(function_text('requirements = "r.txt"'))
    assert "out of the project" in problem.found


def test_too_many_functions_and_routes(project, function_text):
    text = function_text(*(f"[function.g{i}]" for i in range(500)))
    assert project.problem(text).found == "501 tables"
    routes = ", ".join(f'{{method = "GET", path = "/{i}"}}' for i in range(101))
    assert project.problem(function_text(f"http = [{routes}]")).found == "101 tables"


def test_five_hundred_functions_are_fine(project, function_text):
    lines = [f'[function.g{i}]\nhandler = "app:handler"' for i in range(499)]
    assert len(project.load(function_text(*lines)).functions) == 500


def test_many_mistakes_are_counted(project):
    text = "".join(f"key{i} = 1\n" for i in range(2000))
    with pytest.raises(ManifestError) as caught:
        project.load(text)
    assert len(caught.value.problems) == 500
    assert caught.value.left_out == 1502
    assert "The manifest has 2002 mistakes" in str(caught.value)
    assert "and 1502 more" in str(caught.value)


def test_names_cannot_write_to_the_terminal(project):
    text = '["\\u001b[2J"]\n[function."\\u202e\\u0000\\n"]\nhandler = "\\u009b2J"\n'
    with pytest.raises(ManifestError) as caught:
        project.load(text)
    assert all(line.isprintable() for line in str(caught.value).split("\n"))


def test_the_error_is_one_of_ours():
    error = ManifestError(())
    assert isinstance(error, InvalidInputError)
    assert isinstance(error, CasemateError)
    assert not error.retryable
