"""An answer that says that it is JSON is no page, wherever it says so; others are told."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings, told

HEAD = (
    "import json\nfrom flask import Flask, Response, make_response, request\n\napp = Flask('a')\n\n\n"
    "def handle(text):\n    return {}\n\n\n@app.route('/')\ndef main():\n    name = request.args['n']\n"
)
JSON = "{'Content-Type': 'application/json'}"
MADE = "    answer = make_response(json.dumps({'name': name}))\n"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("    return Response(name)\n", 1),
        (f"    return Response(name, headers={JSON})\n", 0),
        ("    return Response(name, headers={'Content-Type': 'text/html'})\n", 1),
        (f"    return Response(name, headers={{'a': {JSON}}}.get('a', {JSON}))\n", 0),
        (f"    h = {JSON} if name else {{'Content-Type': 'text/plain'}}\n"
         "    return Response(name, headers=h)\n", 0),
        (f"    h = {JSON} if name else {{}}\n    return Response(name, headers=h)\n", 1),
        (MADE + "    return answer\n", 1),
        (MADE + "    answer.headers['Content-Type'] = 'application/json'\n    return answer\n", 0),
        (MADE + "    answer.headers['content-type'] = 'text/html'\n    return answer\n", 1),
        (MADE + "    answer.headers.set('Content-Type', 'text/csv')\n    return answer\n", 0),
        (MADE + "    answer.mimetype = 'application/json'\n    return answer\n", 0),
        (MADE + "    answer.content_type = name\n    return answer\n", 1),
        (MADE + "    other.mimetype = 'application/json'\n    return answer\n", 1),
        (MADE + "    if name:\n        answer.mimetype = 'application/json'\n    return answer\n", 1),
        (MADE + "    answer.headers['X-A'] = 'application/json'\n    return answer\n", 1),
    ],
)  # fmt: skip
def test_what_says_that_it_is_no_page_is_none(body: str, found: int) -> None:
    assert told({"main.py": HEAD + body}, "DF-013") == found


@pytest.mark.parametrize(
    ("body", "severity"),
    [("name", "medium"), ("json.loads(json.dumps({'a': '/b', 'n': name}))['a']", "low")],
)
def test_a_part_of_what_was_written_as_one_text_is_told_milder(body: str, severity: str) -> None:
    code = f"    answer = make_response('', 302)\n    answer.headers['Location'] = {body}\n"
    found = findings({"main.py": HEAD + code + "    return answer\n"}, "DF-012")
    assert [each.severity for each in found] == [severity]


@pytest.mark.parametrize(
    ("route", "found"),
    [
        ("@app.route('/')", 1),
        ("@app.get('/')", 1),
        ("@app.post('/')", 1),
        ("@app.put('/')", 0),
        ("@app.delete('/')", 0),
        ("@app.route('/', methods=['PUT', 'DELETE'])", 0),
        ("@app.route('/', methods=['PUT', 'POST'])", 1),
        ("@app.route('/', methods=METHODS)", 1),
    ],
)
@pytest.mark.parametrize("answer", ["name", "Response(name)", "make_response(name)"])
def test_no_link_and_no_form_asks_with_other_methods(route: str, found: int, answer: str) -> None:
    head = HEAD.replace("@app.route('/')", route)
    assert told({"main.py": f"{head}    return {answer}\n"}, "DF-013") == found


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("f\"EXECUTE orders USING '{name}'\"", 0),
        ("f\"execute orders using {name}\"", 0),
        ("f\"SELECT * FROM orders WHERE a = '{name}'\"", 1),
        ("f\"EXECUTE {name} USING 'a'\"", 1),
        ("f\"PREPARE orders FROM {name}\"", 1),
    ],
)  # fmt: skip
def test_a_parameter_of_a_prepared_statement_is_a_value(statement: str, found: int) -> None:
    head = HEAD.replace("import json", "import json\nimport boto3")
    call = f"    boto3.client('athena').start_query_execution(QueryString={statement})\n    return {{}}\n"
    assert told({"main.py": head + call}, "DF-001") == found
