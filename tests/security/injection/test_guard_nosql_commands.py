"""Commands, bulk writes and scripts of databases: hostile events, and the same calls in order."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("pymongo", "bson", "redis")
_TRY = """
def attempt(call):
    try:
        return str(call())
    except (pymongo.errors.PyMongoError, redis.RedisError) as error:
        return type(error).__name__
"""
MONGO = (
    "import pymongo, redis\nDB = pymongo.MongoClient('mongodb://127.0.0.1:9', connect=False, "
    "serverSelectionTimeoutMS=1).get_database('d')\nusers = DB['users']\n" + _TRY
)
REDIS = (
    "import pymongo, redis\nnever = redis.retry.Retry(redis.backoff.NoBackoff(), 0)\n"
    "r = redis.Redis(port=9, retry=never)\n" + _TRY
)
NE = {"$ne": None}
QUOTE = {"n": "x' || '1' == '1"}
NAME = {"n": "Ada"}


def code(start: str, call: str) -> str:
    """Return a handler that makes one call."""
    return f"{start}def handler(event, context):\n    return attempt(lambda: {call})"


_FUNCTION = """
def handler(event, context):
    body = f"function(n) {{ return n == '{event['n']}' }}"
    asked = {"$expr": {"$function": {"body": body, "args": ["$name"], "lang": "js"}}}
    return attempt(lambda: DB.command("aggregate", "users", pipeline=[{"$match": asked}], cursor={}))
"""
_REDUCE = """
def handler(event, context):
    emit = "function() { emit('" + event["n"] + "', 1) }"
    command = {"mapReduce": "users", "map": emit, "reduce": "function(k, v) { return 1 }"}
    return attempt(lambda: DB.command(command))
"""
_CODE = """
from bson.code import Code
def handler(event, context):
    where = Code("function() { return this.name == '%s' }" % event["n"])
    return attempt(lambda: users.find_one({"$where": where}))
"""
_SCOPE = """
from bson.code import Code
def handler(event, context):
    where = Code("this.name == n", {"n": event["n"]})
    return attempt(lambda: users.find_one({"$where": where}))
"""
_BULK = """
from pymongo import DeleteOne, InsertOne, UpdateOne
def handler(event, context):
    writes = [InsertOne(event["document"]), DeleteOne({"_id": 1})]
    writes += [UpdateOne({"_id": item}, {"$set": {"seen": True}}) for item in event["ids"]]
    return attempt(lambda: users.bulk_write(writes))
"""
_CLIENT_BULK = """
from pymongo import InsertOne, ReplaceOne
def handler(event, context):
    writes = [InsertOne(event["document"], namespace="d.u")]
    writes += [ReplaceOne({"_id": i}, {"a": 1}, namespace="d.u") for i in event["ids"]]
    return attempt(lambda: DB.client.bulk_write(models=writes))
"""
_CHOSEN = MONGO + "def handler(event, context): return attempt(lambda: DB.command(event['c']))"
_KEY = MONGO + "def handler(event, context): return attempt(lambda: DB.command({event['c']: 'u'}))"
_FORESEEN = """
COMMANDS = {"check": "ping", "size": "dbStats"}
def handler(event, context): return attempt(lambda: DB.command(COMMANDS[event["c"]]))
"""
_SCRIPT = code(REDIS, "r.register_script('return 1 + ' + event['n'])")
_SEARCH = code(
    REDIS, "r.execute_command('FT.SEARCH', 'idx', f\"@tenant:{{t1}} {event['n']}\", 'NOCONTENT')"
)

_LINE = code(REDIS, "r.execute_command(*f\"SET nick:{event['n']} {event['v']}\".split())")

ATTACKS: Cases = {
    "a line that is cut into words": (_LINE, {"n": "ada", "v": "x EX 77"}),
    "a line with a key that is cut": (_LINE, {"n": "ada y role:ada admin", "v": "x"}),
    "a function in a pipeline of a command": (MONGO + _FUNCTION, QUOTE),
    "a function of mapReduce": (MONGO + _REDUCE, {"n": "x', db.dropDatabase()); emit('"}),
    "bson.Code": (MONGO + _CODE, {"n": "x' || 1 || '"}),
    "one of many writes": (MONGO + _BULK, {"document": {}, "ids": [1, NE]}),
    "one of a client's many writes": (MONGO + _CLIENT_BULK, {"document": {}, "ids": [NE]}),
    "a command": (_CHOSEN, {"c": "dropDatabase"}),
    "a command, as an object": (_CHOSEN, {"c": {"dropDatabase": 1}}),
    "a command, as a key": (_KEY, {"c": "drop"}),
    "a script that is registered": (_SCRIPT, {"n": "redis.call('dbsize')"}),
    "a query of a search": (_SEARCH, {"n": "shoes | @tenant:{t2}"}),
}
HARMLESS: Cases = {
    "a line with how long": (
        code(REDIS, "r.execute_command(*f\"GETEX nick:ada {event['v']}\".split())"),
        {"v": "EX 60"},
    ),
    "a line of words": (_LINE, {"n": "ada", "v": "it's;'EX'"}),
    "a function in a pipeline of a command": (MONGO + _FUNCTION, NAME),
    "a function of mapReduce": (MONGO + _REDUCE, NAME),
    "bson.Code": (MONGO + _CODE, NAME),
    "bson.Code with a scope": (MONGO + _SCOPE, QUOTE),
    "many writes": (MONGO + _BULK, {"document": {"$where": "1"}, "ids": [1, "$ne"]}),
    "a client's many writes": (MONGO + _CLIENT_BULK, {"document": {"a": "$b"}, "ids": [1, "x"]}),
    "a command from a collection": (MONGO + _FORESEEN, {"c": "check"}),
    "a command with a value": (
        code(MONGO, "DB.command({'count': 'users', 'query': {'name': event['n']}})"),
        {"n": "drop"},
    ),
    "a script that is registered": (_SCRIPT, {"n": "12"}),
    "a query of a search": (_SEARCH, {"n": "red shoes"}),
}


def test_commands_and_writes_that_data_changed_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, ATTACKS, {"nosql"}, PRELOAD)


def test_commands_and_writes_with_values_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, HARMLESS, PRELOAD)
