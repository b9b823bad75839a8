"""Handlers that keep data scalar."""

from support.guard_corpus import Program, body

M = """
#### db.py
from pymongo import MongoClient
client = MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=5, connect=False)
users = client.shop.users
"""
NE = {"$ne": None}
HOSTILE = ["$ne", "{'$gt': ''}", "' || 1==1", "a.b", ".*", "$where", "name"]


def each(key):
    return [{key: h} for h in HOSTILE]


R = "import redis\nr = redis.Redis(port=9, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))\n"

PROGRAMS = {
    "scalars": Program(
        """
import json
from db import users
def handler(event, context):
    c = json.loads(event["body"])
    return users.find_one({"user": c["u"], "role": {"$in": ["a", "b"]}})
"""
        + M,
        benign=[body(u=h) for h in HOSTILE],
    ),
    "str()": Program(
        """
from db import users
def handler(event, context): return users.find_one({"user": str(event["u"]), "pw": str(event["p"])})
"""
        + M,
        benign=[{"u": NE, "p": {"$gt": ""}}, {"u": "ada", "p": "$x"}],
    ),
    "isinstance": Program(
        """
from db import users
def handler(event, context):
    if not isinstance(event["u"], str): return 400
    return users.find_one({"user": event["u"]})
"""
        + M,
        benign=[{"u": NE}, *each("u")],
    ),
    "$eq": Program(
        """
from db import users
def handler(event, context): return users.find_one({"user": {"$eq": event["u"]}, "deleted": {"$ne": True}})
"""
        + M,
        benign=each("u"),
    ),
    "re.escape": Program(
        """
import re
from db import users
def handler(event, context): return list(users.find({"name": {"$regex": "^" + re.escape(event["u"])}}))
"""
        + M,
        benign=each("u"),
    ),
    "int": Program(
        """
from db import users
def handler(event, context): return list(users.find({"age": {"$gte": int(event["min"])}}).limit(int(event.get("n", 5))))
"""
        + M,
        benign=[{"min": "3"}, {"min": 4, "n": "2"}, {"min": "x"}],
    ),
    "object id": Program(
        """
from bson import ObjectId
from db import users
def handler(event, context): return users.find_one({"_id": ObjectId(event["id"])})
"""
        + M,
        benign=[{"id": "507f1f77bcf86cd799439011"}, {"id": "x"}],
    ),
    "insert": Program(
        """
import json
from db import users
def handler(event, context): return users.insert_one(json.loads(event["body"])).inserted_id
"""
        + M,
        benign=[body(name="$ne", note={"a": "b"}), body(tags=["a", "$b"])],
    ),
    "set of fields": Program(
        """
from db import users
FIELDS = ("name", "mail")
def handler(event, context):
    changes = {f: event[f] for f in FIELDS if f in event and isinstance(event[f], str)}
    return users.update_one({"_id": str(event["id"])}, {"$set": changes}).modified_count
"""
        + M,
        benign=[{"id": "1", "name": "$inc", "role": "admin"}, {"id": NE, "name": {"$x": 1}}],
    ),
    "data class": Program(
        """
import json
from dataclasses import asdict, dataclass
from db import users
@dataclass
class Login:
    user: str
    password: str
    def __post_init__(self):
        for v in (self.user, self.password):
            if not isinstance(v, str): raise TypeError("text expected")
def handler(event, context): return users.find_one(asdict(Login(**json.loads(event["body"]))))
"""
        + M,
        benign=[body(user=h, password=h) for h in HOSTILE] + [body(user=NE, password="x")],
    ),
    "operators chosen by the code": Program(
        """
from db import users
OPS = {"lt": "$lt", "gt": "$gt"}
def handler(event, context): return list(users.find({"age": {OPS[event["op"]]: float(event["v"])}}))
"""
        + M,
        benign=[{"op": "lt", "v": "3"}, {"op": "gt", "v": "1e3"}, {"op": "$ne", "v": "1"}],
    ),
    "dollar refused": Program(
        """
from db import users
def check(v):
    if isinstance(v, dict):
        for k, x in v.items():
            if k.startswith("$"): raise ValueError("operator")
            check(x)
    return v
def handler(event, context): return list(users.find(check(event["filter"])))
"""
        + M,
        benign=[{"filter": {"a": "$b"}}, {"filter": {"a": NE}}],
    ),
    "redis get and set": Program(
        R
        + """
def handler(event, context):
    r.set("user:" + event["k"], event["k"], ex=5)
    return r.get(f"user:{event['k']}")
""",
        benign=[*each("k"), {"k": "x\r\nFLUSHALL\r\n"}],
    ),
    "redis script": Program(
        R
        + """
LUA = "return redis.call('get', KEYS[1]) .. ARGV[1]"
def handler(event, context): return r.eval(LUA, 1, "k:" + event["k"], event["k"])
""",
        benign=[*each("k"), {"k": "') redis.call('flushall') --"}],
    ),
    "DynamoDB": Program(
        """
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    client.put_item(TableName="t", Item={"id": {"S": event["k"]}})
    return client.query(TableName="t", KeyConditionExpression="#id = :v", FilterExpression="attribute_exists(#id)",
        ExpressionAttributeNames={"#id": "id"}, ExpressionAttributeValues={":v": {"S": event["k"]}})
""",
        benign=[*each("k"), {"k": "id OR 1=1"}, {"k": "attribute_exists"}],
    ),
    "DynamoDB, names bound": Program(
        """
import boto3
client = boto3.client("dynamodb")
ALLOWED = {"name", "mail"}
def handler(event, context):
    changes = {k: v for k, v in event["changes"].items() if k in ALLOWED}
    expr = "SET " + ", ".join(f"#{k} = :{k}" for k in changes)
    return client.update_item(TableName="t", Key={"id": {"S": event["id"]}}, UpdateExpression=expr,
        ExpressionAttributeNames={f"#{k}": k for k in changes}, ExpressionAttributeValues={f":{k}": {"S": v} for k, v in changes.items()})
""",
        benign=[{"id": "1", "changes": {"name": "x", "role = :name": "y"}}],
    ),
    "Elasticsearch match": Program(
        """
from elasticsearch import Elasticsearch
es = Elasticsearch("http://127.0.0.1:9")
def handler(event, context):
    return es.search(index="a", body={"query": {"match": {"title": str(event["k"])}}, "size": 5})
""",
        benign=each("k"),
    ),
}
