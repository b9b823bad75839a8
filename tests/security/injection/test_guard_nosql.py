"""NoSQL queries: operators, code and commands that the event brings, and queries that are fine."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.nosql.languages import (
    EXPRESSION,
    JAVASCRIPT,
    JSON,
    LUA,
    LUCENE,
    judge_pattern,
)
from casemate.guard.origin import Origin, Span
from casemate.guard.quoted import judge, tokenize
from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("pymongo", "bson", "redis", "redis.asyncio", "botocore.client", "elasticsearch")
TRY = """
def attempt(call):
    try:
        return str(call())
    except Exception as error:
        return type(error).__name__
"""
MONGO = (
    TRY + "import pymongo\nDB = pymongo.MongoClient('mongodb://127.0.0.1:9', connect=False, "
    "serverSelectionTimeoutMS=1).get_database('d')\nusers = DB['users']\n"
)
REDIS = (
    TRY
    + "import redis\nr = redis.Redis(port=9, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))\n"
)
DYNAMO = TRY + "import boto3\ntable = boto3.client('dynamodb')\n"
ELASTIC = (
    TRY + "from elasticsearch import Elasticsearch\nes = Elasticsearch('http://127.0.0.1:9')\n"
)


def code(start: str, call: str, before: str = "") -> str:
    """Return a handler that makes one call."""
    lines = "".join(f"    {line}\n" for line in before.split("\n") if line)
    return f"{start}def handler(event, context):\n{lines}    return attempt(lambda: {call})"


def mongo(call: str, before: str = "") -> str:
    """Return a handler that uses MongoDB."""
    return code(MONGO, call, before)


def b64(value: object) -> str:
    """Encode."""
    return base64.b64encode(json.dumps(value).encode()).decode()


NE = {"$ne": None}
VULNERABLE: Cases = {
    "find": (mongo("list(users.find({'name': event['name']}))"), {"name": NE}),
    "find_one, log in": (
        mongo("users.find_one({'user': event['user'], 'password': event['password']})"),
        {"user": "admin", "password": {"$gt": ""}},
    ),
    "body": (
        mongo(
            "users.find_one({'u': b['u'], 'p': b['p']})",
            "import json\nb = json.loads(event['body'])",
        ),
        {"body": json.dumps({"u": "admin", "p": {"$regex": ".*"}})},
    ),
    "whole filter": (mongo("list(users.find(event['filter']))"), {"filter": {"age": {"$gt": 0}}}),
    "whole filter, where": (
        mongo("list(users.find(event))"),
        {"$where": "sleep(5000) || true"},
    ),
    "JSON text": (
        mongo("list(users.find(json.loads(event['q'])))", "import json"),
        {"q": '{"$or": [{}, {"a": 1}]}'},
    ),
    "JSON put together": (
        mongo(
            "users.find_one(json.loads('{\"name\": \"' + event['n'] + '\"}'))",
            "import json",
        ),
        {"n": 'x", "name": {"$ne": "y"}, "z": "'},
    ),
    "bson json_util": (
        mongo("users.find_one(json_util.loads(event['q']))", "from bson import json_util"),
        {"q": '{"password": {"$exists": true}}'},
    ),
    "copied": (
        mongo("users.find_one(dict(event['q'], active=True))"),
        {"q": {"role": {"$in": [1]}}},
    ),
    "spread": (mongo("users.find_one({**event['q'], 'on': True})"), {"q": {"$nor": [{"a": 1}]}}),
    "comprehension": (
        mongo("users.find_one({k: v for k, v in event.items()})"),
        {"user": {"$ne": "x"}},
    ),
    "where": (
        mongo("list(users.find({'$where': f\"this.name == '{event['n']}'\"}))"),
        {"n": "' || '1'=='1"},
    ),
    "where, percent": (
        mongo("list(users.find({'$where': 'this.age > %s' % event['age']}))"),
        {"age": "0; while(true){}"},
    ),
    "function": (
        mongo(
            "list(users.aggregate([{'$match': {'$expr': {'$function': {'body': "
            "'function(n){return n==\"' + event['n'] + '\"}', 'args': ['$n'], 'lang': 'js'}}}}]))"
        ),
        {"n": '"||"1"=="1'},
    ),
    "regex": (
        mongo("list(users.find({'name': {'$regex': event['q']}}))"),
        {"q": "^.*$"},
    ),
    "regex, prefix": (
        mongo("list(users.find({'token': {'$regex': '^' + event['q']}}))"),
        {"q": "a[0-9]{3}"},
    ),
    "regex, compiled": (
        mongo("list(users.find({'name': re.compile(event['q'], re.I)}))", "import re"),
        {"q": ".*"},
    ),
    "count": (mongo("users.count_documents({'owner': event['o']})"), {"o": {"$exists": True}}),
    "delete": (mongo("users.delete_many({'id': event['id']})"), {"id": {"$ne": 0}}),
    "update, filter": (
        mongo("users.update_one({'_id': event['id']}, {'$set': {'seen': True}})"),
        {"id": {"$gt": ""}},
    ),
    "update, whole": (
        mongo("users.update_one({'_id': 1}, event['change'])"),
        {"change": {"$set": {"role": "admin"}}},
    ),
    "update, path": (
        mongo("users.update_one({'_id': 1}, {'$set': event['profile']})"),
        {"profile": {"auth.role": "admin"}},
    ),
    "replace": (
        mongo("users.find_one_and_update({'k': event['k']}, {'$inc': {'n': 1}})"),
        {"k": {"$in": ["a", "b"]}},
    ),
    "aggregate": (
        mongo("list(users.aggregate(event['stages']))"),
        {"stages": [{"$lookup": {"from": "secrets", "pipeline": [], "as": "s"}}]},
    ),
    "aggregate, match": (
        mongo("list(users.aggregate([{'$match': {'a': event['a']}}]))"),
        {"a": {"$ne": 1}},
    ),
    "key": (mongo("users.find_one({event['field']: event['v']})"), {"field": "$where", "v": "1"}),
    "distinct": (mongo("users.distinct('n', {'g': event['g']})"), {"g": {"$ne": 1}}),
    "command": (mongo("DB.command({'find': 'users', 'filter': event['f']})"), {"f": {"a": NE}}),
    "query parameters": (
        mongo(
            "users.find_one({'p': q})",
            "import json\nraw = event['queryStringParameters']['p']\n"
            "q = json.loads(raw) if raw.startswith('{') else raw",
        ),
        {"queryStringParameters": {"p": '{"$ne": 1}'}},
    ),
    "base64": (
        mongo(
            "users.find_one({'p': json.loads(base64.b64decode(event['t']))['p']})",
            "import base64, json",
        ),
        {"t": b64({"p": {"$ne": 1}})},
    ),
    "URL": (
        mongo(
            "users.find_one(json.loads(unquote(event['q'])))",
            "import json\nfrom urllib.parse import unquote",
        ),
        {"q": quote('{"p": {"$ne": 1}}')},
    ),
    "asynchronous": (
        "import asyncio, pymongo\nasync def go(n):\n"
        "    c = pymongo.AsyncMongoClient('mongodb://127.0.0.1:9', serverSelectionTimeoutMS=1)\n"
        "    return await c.d.users.find_one({'n': n})\n"
        "def handler(event, context):\n    return asyncio.run(go(event['n']))",
        {"n": {"$gt": ""}},
    ),
    "redis, command": (code(REDIS, "r.execute_command(*event['args'])"), {"args": ["FLUSHALL"]}),
    "redis, one text": (
        code(REDIS, "r.execute_command(f\"GET {event['key']}\")"),
        {"key": "a b\r\nFLUSHALL"},
    ),
    "redis, script": (
        code(REDIS, "r.eval(\"return redis.call('get', '\" + event['k'] + \"')\", 0)"),
        {"k": "x') redis.call('flushall') --"},
    ),
    "redis, script of the event": (
        code(REDIS, "r.eval(event['script'], 0)"),
        {"script": "return redis.call('keys','*')"},
    ),
    "redis, pattern": (code(REDIS, "r.keys('session:' + event['id'])"), {"id": "*"}),
    "redis, scan": (
        code(REDIS, "list(r.scan_iter(match=f\"u:{event['id']}:*\"))"),
        {"id": "[a-z]?*"},
    ),
    "redis, pipeline": (
        code(REDIS, "r.pipeline().execute_command(event['c'], 'k')"),
        {"c": "DEL"},
    ),
    "dynamodb, filter": (
        code(DYNAMO, "table.scan(FilterExpression='#n = ' + event['v'])"),
        {"v": ":a OR attribute_exists(secret)"},
    ),
    "dynamodb, name": (
        code(DYNAMO, "table.query(KeyConditionExpression=f\"{event['k']} = :v\")"),
        {"k": "secret_key"},
    ),
    "dynamodb, projection": (
        code(DYNAMO, "table.get_item(ProjectionExpression='id, ' + event['f'])"),
        {"f": "password, token"},
    ),
    "dynamodb, update": (
        code(DYNAMO, "table.update_item(UpdateExpression='SET ' + event['f'] + ' = :v')"),
        {"f": "role"},
    ),
    "elasticsearch, object": (
        code(ELASTIC, "es.search(index='i', query={'match': {'title': event['t']}})"),
        {"t": {"query": "x", "fuzziness": "AUTO"}},
    ),
    "elasticsearch, whole": (
        code(ELASTIC, "es.search(index='i', query=event['q'])"),
        {"q": {"match_all": {}}},
    ),
    "elasticsearch, query string": (
        code(ELASTIC, "es.search(index='i', q='owner:me AND title:' + event['t'])"),
        {"t": "x OR owner:*"},
    ),
    "elasticsearch, query string, nested": (
        code(
            ELASTIC,
            "es.search(index='i', body={'query': {'query_string': {'query': "
            "'title:\"%s\"' % event['t']}}})",
        ),
        {"t": 'x" OR secret:"y'},
    ),
    "elasticsearch, script": (
        code(
            ELASTIC,
            "es.update(index='i', id='1', script={'source': \"ctx._source.n = '\" + "
            "event['n'] + \"'\"})",
        ),
        {"n": "'; ctx.op='delete'; //"},
    ),
}
SQL_OF_AWS: Cases = {
    "dynamodb, PartiQL": (
        code(
            DYNAMO,
            "table.execute_statement(Statement=f\"SELECT * FROM t WHERE id='{event['i']}'\")",
        ),
        {"i": "x' OR '1'='1"},
    ),
    "athena": (
        code(
            TRY + "import boto3\n",
            "boto3.client('athena').start_query_execution("
            "QueryString='SELECT * FROM t WHERE d = ' + event['d'])",
        ),
        {"d": "1 UNION SELECT * FROM secrets"},
    ),
}

SAFE: Cases = {
    "scalar": (mongo("users.find_one({'name': event['name']})"), {"name": "$gt"}),
    "scalar made": (mongo("users.find_one({'name': str(event['name'])})"), {"name": NE}),
    "number made": (mongo("users.find_one({'age': int(event['age'])})"), {"age": "7"}),
    "type checked": (
        mongo(
            "users.find_one({'n': event['n']})",
            "if not isinstance(event['n'], str):\n    return 'refused'",
        ),
        {"n": NE},
    ),
    "operator of the code": (
        mongo("list(users.find({'age': {'$gt': event['min']}}))"),
        {"min": 18},
    ),
    "operator of the code, in": (
        mongo("list(users.find({'tag': {'$in': event['tags']}}))"),
        {"tags": ["a", "$ne"]},
    ),
    "equality made plain": (
        mongo("users.find_one({'n': {'$eq': event['n']}})"),
        {"n": "a.b.c"},
    ),
    "plain document": (mongo("users.find_one({'address': event['a']})"), {"a": {"city": "Bern"}}),
    "plain filter": (mongo("list(users.find(event['filter']))"), {"filter": {"status": "open"}}),
    "insert": (
        mongo("users.insert_one({'name': event['n'], 'data': event['d']})"),
        {"n": "Ada", "d": {"a.b": 1, "$x": 2}},
    ),
    "set": (
        mongo("users.update_one({'_id': event['id']}, {'$set': {'name': event['n']}})"),
        {"id": "1", "n": "$where"},
    ),
    "set of a plain object": (
        mongo("users.update_one({'_id': 1}, {'$set': event['profile']})"),
        {"profile": {"city": "Bern", "zip": "3000"}},
    ),
    "fields of a list": (
        mongo(
            "users.update_one({'_id': 1}, {'$set': change})",
            "change = {k: event[k] for k in ('name', 'city') if k in event}",
        ),
        {"name": "Ada", "role.admin": True},
    ),
    "regex escaped": (
        mongo("list(users.find({'n': {'$regex': '^' + re.escape(event['q'])}}))", "import re"),
        {"q": "a.*(b)[c]$"},
    ),
    "regex of words": (
        mongo("list(users.find({'n': {'$regex': event['q'], '$options': 'i'}}))"),
        {"q": "ada king-lovelace@example.com"},
    ),
    "object id": (
        mongo("users.find_one({'_id': ObjectId(event['id'])})", "from bson import ObjectId"),
        {"id": "64b7f3a2c9e77b0012345678"},
    ),
    "body": (
        mongo("users.find_one({'u': b['u']})", "import json\nb = json.loads(event['body'])"),
        {"body": json.dumps({"u": "ada", "x": {"$ne": 1}})},
    ),
    "operators of a table": (
        mongo(
            "list(users.find({'age': {OPS[event['op']]: event['v']}}))",
            "OPS = {'gt': '$gt', 'lt': '$lt'}",
        ),
        {"op": "gt", "v": 3},
    ),
    "aggregate": (
        mongo("list(users.aggregate([{'$match': {'a': event['a']}}, {'$limit': event['n']}]))"),
        {"a": "x", "n": 5},
    ),
    "keys with $ refused": (
        mongo(
            "users.find_one(event['q'])",
            "if any(k.startswith('$') for k in event['q']):\n    return 'refused'",
        ),
        {"q": {"$where": "1"}},
    ),
    "where with a number": (
        mongo("list(users.find({'$where': 'this.age > %d' % int(event['age'])}))"),
        {"age": "18"},
    ),
    "redis, key": (code(REDIS, "r.get('user:' + event['id'])"), {"id": "a b*\r\n"}),
    "redis, value": (code(REDIS, "r.set(event['k'], event['v'])"), {"k": "k", "v": "FLUSHALL\r\n"}),
    "redis, several": (code(REDIS, "r.delete(*event['keys'])"), {"keys": ["a", "b*"]}),
    "redis, script": (
        code(REDIS, "r.eval(\"return redis.call('get', KEYS[1])\", 1, event['k'])"),
        {"k": "x') redis.call('flushall') --"},
    ),
    "redis, pattern": (code(REDIS, "r.keys(f\"session:{event['id']}:*\")"), {"id": "42"}),
    "redis, command of a list": (
        code(
            REDIS,
            "r.execute_command(event['op'], 'k')",
            "if event['op'] not in ('GET', 'TTL'):\n    raise ValueError",
        ),
        {"op": "TTL"},
    ),
    "redis, hash": (code(REDIS, "r.hset('h', mapping=event['m'])"), {"m": {"$a": "1", "b": "*"}}),
    "dynamodb, values": (
        code(
            DYNAMO,
            "table.query(KeyConditionExpression='#o = :o', FilterExpression='age > :a', "
            "ExpressionAttributeNames={'#o': 'owner'}, "
            "ExpressionAttributeValues={':o': {'S': event['o']}, ':a': {'N': str(event['a'])}})",
        ),
        {"o": ":a OR 1 = 1", "a": 7},
    ),
    "dynamodb, name by placeholder": (
        code(
            DYNAMO,
            "table.scan(ProjectionExpression='#f', ExpressionAttributeNames={'#f': event['f']})",
        ),
        {"f": "a, b"},
    ),
    "dynamodb, item": (
        code(DYNAMO, "table.put_item(TableName='t', Item={'id': {'S': event['id']}})"),
        {"id": "' OR '1'='1"},
    ),
    "dynamodb, names of a list": (
        code(
            DYNAMO,
            "table.update_item(UpdateExpression='SET ' + event['f'] + ' = :v')",
            "if event['f'] not in {'city', 'zip'}:\n    raise ValueError",
        ),
        {"f": "city"},
    ),
    "dynamodb, numbered placeholders": (
        code(
            DYNAMO,
            "table.scan(FilterExpression=' AND '.join(f'#f{i} = :v{i}' "
            "for i in range(len(event['f']))))",
        ),
        {"f": ["a", "b"]},
    ),
    "dynamodb, PartiQL": (
        code(
            DYNAMO,
            "table.execute_statement(Statement='SELECT * FROM t WHERE id=?', "
            "Parameters=[{'S': event['i']}])",
        ),
        {"i": "x' OR '1'='1"},
    ),
    "elasticsearch, match": (
        code(ELASTIC, "es.search(index='i', query={'match': {'title': event['t']}})"),
        {"t": "x OR owner:*"},
    ),
    "elasticsearch, words": (
        code(ELASTIC, "es.search(index='i', q='title:' + event['t'])"),
        {"t": "lovelace"},
    ),
    "elasticsearch, list": (
        code(ELASTIC, "es.search(index='i', query={'terms': {'id': event['ids']}})"),
        {"ids": ["a", "b"]},
    ),
    "elasticsearch, document": (
        code(ELASTIC, "es.index(index='i', document=event['doc'])"),
        {"doc": {"query_string": {"query": "a OR b"}, "$x": 1}},
    ),
    "elasticsearch, script with parameters": (
        code(
            ELASTIC,
            "es.update(index='i', id='1', script={'source': 'ctx._source.n = params.n', "
            "'params': {'n': event['n']}})",
        ),
        {"n": "'; ctx.op='delete'; //"},
    ),
}


def test_operators_code_and_commands_of_the_event_are_blocked(tmp_path: Path) -> None:
    # JSON that the code put together is judged where it is read.
    assert_blocked(tmp_path, VULNERABLE, {"nosql", "deserialisation"}, PRELOAD)


def test_statements_for_services_of_aws_are_judged_as_sql(tmp_path: Path) -> None:
    assert_blocked(tmp_path, SQL_OF_AWS, {"sql"}, PRELOAD)


def test_values_in_their_places_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)


@given(st.text(max_size=80), st.sampled_from([JAVASCRIPT, LUA, JSON, LUCENE, EXPRESSION]))
def test_tokens_do_not_overlap_and_leave_nothing_out(text: str, spoken: object) -> None:
    place = 0
    for _, start, end in tokenize(text, spoken):  # type: ignore[arg-type]
        assert place <= start < end
        assert not text[place:start].strip()
        place = end


@given(st.text(max_size=30))
def test_a_value_inside_json_passes_if_and_only_if_it_stays_inside(value: str) -> None:
    text = '{"a": "' + value + '"}'
    span = Span(7, 7 + len(value), Origin("event", ()), exact=True)
    inside = False
    try:
        read = json.loads(text, strict=False)
        inside = set(read) == {"a"} and isinstance(read["a"], str)
    except ValueError:
        pass
    if value and inside and "\\" not in value:
        assert judge(text, [span], JSON) is None
    if '"' in value.replace('\\"', ""):
        assert judge(text, [span], JSON) is not None or not inside or "\\" in value


@given(st.text(min_size=1, max_size=30))
def test_escaped_patterns_pass(value: str) -> None:
    import re

    escaped = re.escape(value)
    span = Span(1, 1 + len(escaped), Origin("event", ()), exact=True)
    assert judge_pattern("^" + escaped, [span]) is None
