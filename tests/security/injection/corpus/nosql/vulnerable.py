"""Handlers that let data be operators."""

from support.guard_corpus import Program, b64, body, query, sqs

M = """
#### db.py
from pymongo import MongoClient
client = MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=5, connect=False)
users = client.shop.users
"""
NE = {"$ne": None}
PROGRAMS = {
    "log in": Program(
        """
import json
from db import users
def handler(event, context):
    c = json.loads(event["body"])
    return users.find_one({"user": c["user"], "password": c["password"]})
"""
        + M,
        [body(user="admin", password=NE), body(user={"$gt": ""}, password="x")],
        [body(user="ada", password="$ecret.{}")],
    ),
    "whole filter": Program(
        """
from db import users
def handler(event, context): return list(users.find(event["filter"], {"password": 0}))
"""
        + M,
        [{"filter": {"$where": "1"}}, {"filter": {"role": {"$in": ["admin"]}}}],
        [{"filter": {"role": "user"}}],
    ),
    "repository": Program(
        """
from db import users
class Repo:
    def __init__(self, collection): self.c = collection
    def by(self, **criteria): return self.c.count_documents(dict(criteria, active=True))
def handler(event, context): return Repo(users).by(**event["criteria"])
"""
        + M,
        [{"criteria": {"age": {"$gte": 0}}}],
        [{"criteria": {"name": "$x"}}],
    ),
    "where": Program(
        """
from db import users
def handler(event, context):
    return list(users.find({"$where": "this.name == '" + event["name"] + "'"}))
"""
        + M,
        [{"name": "' || '1'=='1"}, {"name": "x'; while(1){}; '"}],
        [{"name": "ada"}],
    ),
    "regex": Program(
        """
from db import users
def handler(event, context):
    return list(users.find({"name": {"$regex": "^" + event["prefix"], "$options": "i"}}))
"""
        + M,
        [{"prefix": ".*"}, {"prefix": "a|.*"}],
        [{"prefix": "ada"}],
    ),
    "json text": Program(
        """
import json
from db import users
def handler(event, context):
    return list(users.find(json.loads('{"name": "%s"}' % event["queryStringParameters"]["name"])))
"""
        + M,
        [query(name='x", "$or": [{}], "a": "'), query(name='", "role": {"$ne": 1}, "n": "')],
        [query(name="ada")],
    ),
    "update": Program(
        """
from db import users
def handler(event, context):
    return users.update_one({"_id": event["id"]}, event["update"]).modified_count
"""
        + M,
        [
            {"id": 1, "update": {"$set": {"role": "admin"}}},
            {"id": {"$ne": 0}, "update": {"$unset": {"x": 1}}},
        ],
    ),
    "delete, queue": Program(
        """
import json
from db import users
def handler(event, context):
    for r in event["Records"]: users.delete_many({"session": json.loads(r["body"])["session"]})
"""
        + M,
        [sqs({"session": {"$exists": True}})],
        [sqs({"session": "abc"})],
    ),
    "aggregate": Program(
        """
from db import users
def handler(event, context):
    pipeline = [{"$match": {"team": event["team"]}}, {"$group": {"_id": "$role", "n": {"$sum": 1}}}]
    return list(users.aggregate(pipeline))
"""
        + M,
        [{"team": {"$ne": 1}}, {"team": {"$gt": ""}}],
        [{"team": "red"}],
    ),
    "pipeline": Program(
        """
import base64, json
from db import users
def handler(event, context):
    return list(users.aggregate(json.loads(base64.b64decode(event["pipeline"]))))
"""
        + M,
        [
            {
                "pipeline": b64(
                    '[{"$lookup": {"from": "secrets", "as": "s", "localField": "a", "foreignField": "b"}}]'
                )
            }
        ],
    ),
    "key of the event": Program(
        """
from db import users
def handler(event, context): return users.find_one({event["field"]: event["value"]})
"""
        + M,
        [{"field": "$where", "value": "1"}],
        [{"field": "name", "value": "x"}],
    ),
    "redis eval": Program(
        """
import redis
r = redis.Redis(port=9, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))
def handler(event, context):
    return r.eval("return redis.call('get', '" + event["key"] + "')", 0)
""",
        [{"key": "x') redis.call('flushall') --"}],
    ),
    "redis command": Program(
        """
import redis
r = redis.Redis(port=9, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))
def handler(event, context):
    return r.execute_command(event["cmd"], *event["args"])
""",
        [{"cmd": "FLUSHALL", "args": []}, {"cmd": "CONFIG SET", "args": ["dir", "/"]}],
    ),
    "redis keys": Program(
        """
import redis
r = redis.Redis(port=9, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))
def handler(event, context): return r.keys("session:" + event["user"] + ":*")
""",
        [{"user": "*"}, {"user": "[a-z]?"}],
        [{"user": "ada"}],
    ),
    "DynamoDB filter": Program(
        """
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    return client.scan(TableName="t", FilterExpression="owner = :o AND " + event["filter"], ExpressionAttributeValues={":o": {"S": "me"}})
""",
        [{"filter": "attribute_exists(id) OR owner <> :o"}],
    ),
    "DynamoDB update": Program(
        """
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    sets = ", ".join(f"{k} = :v{i}" for i, k in enumerate(event["changes"]))
    return client.update_item(TableName="t", Key={"id": {"S": event["id"]}}, UpdateExpression="SET " + sets,
        ExpressionAttributeValues={f":v{i}": {"S": v} for i, v in enumerate(event["changes"].values())})
""",
        [
            {"id": "1", "changes": {"a = :v0, isAdmin": "x"}},
            {"id": "1", "changes": {"credit": "x"}},
        ],
    ),
    "Elasticsearch": Program(
        """
from elasticsearch import Elasticsearch
es = Elasticsearch("http://127.0.0.1:9")
def handler(event, context): return es.search(index="a", body={"query": event["query"]})
""",
        [{"query": {"match_all": {}}}, {"query": {"script": {"script": "1"}}}],
    ),
}
