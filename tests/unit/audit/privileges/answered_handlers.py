"""Handlers with the rights that they need, written down before the reader was asked.

From the service authorization reference: the action of each call that is used, what the service
asks for beside it of who calls, and the states in which it does. `beyond` is granted and not needed.
"""

from __future__ import annotations

from typing import NamedTuple


class Answered(NamedTuple):
    """One handler."""

    name: str
    suffix: str
    needed: str
    beyond: str
    code: str


_S3 = "s3:GetObject s3:PutObject s3:DeleteObject s3:ListBucket s3:PutObjectAcl s3:GetObjectTagging"
_DDB = (
    "dynamodb:GetItem dynamodb:PutItem dynamodb:UpdateItem dynamodb:DeleteItem dynamodb:Query "
    "dynamodb:Scan dynamodb:BatchGetItem dynamodb:BatchWriteItem dynamodb:DescribeTable"
)
_SQS = "sqs:SendMessage sqs:ReceiveMessage sqs:DeleteMessage sqs:ChangeMessageVisibility sqs:PurgeQueue"


def _but(every: str, *kept: str) -> str:
    return " ".join(each for each in every.split() if each not in kept)


PYTHON = (
    Answered(
        "thumbnail",
        "py",
        "s3:GetObject s3:PutObject",
        _but(_S3, "s3:GetObject", "s3:PutObject"),
        """
import io
import boto3
from PIL import Image
s3 = boto3.client("s3")

def handler(event, context):
    for record in event["Records"]:
        bucket = record["s3"]["bucket"]["name"]
        key = record["s3"]["object"]["key"]
        buffer = io.BytesIO()
        s3.download_fileobj(bucket, key, buffer)
        small = Image.open(buffer)
        small.thumbnail((128, 128))
        out = io.BytesIO()
        small.save(out, "PNG")
        s3.put_object(Bucket=bucket + "-small", Key=key, Body=out.getvalue())
""",
    ),
    Answered(
        "copy and delete",
        "py",
        "s3:GetObject s3:PutObject s3:DeleteObject",
        "s3:ListBucket s3:PutBucketPolicy s3:DeleteBucket",
        """
import boto3
s3 = boto3.resource("s3")

def handler(event, context):
    source = {"Bucket": "inbox", "Key": event["key"]}
    s3.Bucket("archive").copy(source, event["key"])
    s3.Object("inbox", event["key"]).delete()
""",
    ),
    Answered(
        "list a prefix",
        "py",
        "s3:ListBucket",
        "s3:GetObject s3:ListAllMyBuckets s3:GetBucketLocation",
        """
import boto3

def handler(event, context):
    bucket = boto3.resource("s3").Bucket("reports")
    return [each.key for each in bucket.objects.filter(Prefix=event["prefix"])]
""",
    ),
    Answered(
        "link to download",
        "py",
        "s3:GetObject",
        "s3:PutObject s3:ListBucket",
        """
import boto3

def handler(event, context):
    client = boto3.client("s3")
    return client.generate_presigned_url(
        "get_object", Params={"Bucket": "a", "Key": event["key"]}, ExpiresIn=60
    )
""",
    ),
    Answered(
        "form to upload",
        "py",
        "s3:PutObject",
        "s3:GetObject s3:DeleteObject",
        """
import boto3
client = boto3.client("s3")

def handler(event, context):
    return client.generate_presigned_post("uploads", event["name"], ExpiresIn=300)
""",
    ),
    Answered(
        "delete many",
        "py",
        "s3:DeleteObject s3:ListBucket",
        "s3:GetObject s3:PutObject",
        """
import boto3
s3 = boto3.client("s3")

def handler(event, context):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="a", Prefix="tmp/")
    for page in pages:
        found = [{"Key": each["Key"]} for each in page.get("Contents", [])]
        if found:
            s3.delete_objects(Bucket="a", Delete={"Objects": found})
""",
    ),
    Answered(
        "is it there",
        "py",
        "s3:GetObject",
        "s3:PutObject s3:ListBucket s3:GetObjectAcl",
        """
import boto3
from botocore.exceptions import ClientError
s3 = boto3.client("s3")

def handler(event, context):
    try:
        return s3.head_object(Bucket="a", Key=event["key"])["ContentLength"]
    except ClientError:
        return None
""",
    ),
    Answered(
        "table with a counter",
        "py",
        "dynamodb:UpdateItem dynamodb:GetItem",
        _but(_DDB, "dynamodb:UpdateItem", "dynamodb:GetItem"),
        """
import os
import boto3
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])

def count(name):
    table.update_item(
        Key={"id": name}, UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": 1}
    )

def handler(event, context):
    count(event["name"])
    return table.get_item(Key={"id": event["name"]})["Item"]
""",
    ),
    Answered(
        "rows in batches",
        "py",
        "dynamodb:BatchWriteItem dynamodb:Scan",
        _but(_DDB, "dynamodb:BatchWriteItem", "dynamodb:Scan"),
        """
import boto3

class Store:
    def __init__(self, name):
        self.table = boto3.resource("dynamodb").Table(name)

    def all(self):
        answer = self.table.scan()
        rows = answer["Items"]
        while "LastEvaluatedKey" in answer:
            answer = self.table.scan(ExclusiveStartKey=answer["LastEvaluatedKey"])
            rows += answer["Items"]
        return rows

    def keep(self, rows):
        with self.table.batch_writer() as batch:
            for row in rows:
                batch.put_item(Item=row)

def handler(event, context):
    store = Store("orders")
    store.keep(event["rows"])
    return len(store.all())
""",
    ),
    Answered(
        "transaction",
        "py",
        "dynamodb:PutItem dynamodb:UpdateItem dynamodb:ConditionCheckItem",
        "dynamodb:DeleteItem dynamodb:GetItem dynamodb:Query",
        """
import boto3
client = boto3.client("dynamodb")

def handler(event, context):
    client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "orders", "Item": {"id": {"S": event["id"]}}}},
            {"Update": {"TableName": "stock", "Key": {"id": {"S": "a"}}, "UpdateExpression": "ADD n :m"}},
            {"ConditionCheck": {"TableName": "users", "Key": {"id": {"S": "u"}},
                                "ConditionExpression": "attribute_exists(id)"}},
        ]
    )
""",
    ),
    Answered(
        "worker of a queue",
        "py",
        "sqs:ReceiveMessage sqs:DeleteMessage",
        _but(_SQS, "sqs:ReceiveMessage", "sqs:DeleteMessage"),
        """
import boto3
queue = boto3.resource("sqs").Queue("https://sqs.eu-west-1.amazonaws.com/123456789012/jobs")

def handler(event, context):
    for message in queue.receive_messages(MaxNumberOfMessages=10):
        print(message.message_id)
        message.delete()
""",
    ),
    Answered(
        "fan out",
        "py",
        "sqs:SendMessage sns:Publish",
        "sqs:ReceiveMessage sns:Subscribe sns:CreateTopic sqs:GetQueueAttributes",
        """
import json
import os
import boto3
sns, sqs = boto3.client("sns"), boto3.client("sqs")

def handler(event, context):
    sns.publish(TopicArn=os.environ["TOPIC"], Message=json.dumps(event))
    entries = [{"Id": str(n), "MessageBody": each} for n, each in enumerate(event["parts"])]
    sqs.send_message_batch(QueueUrl=os.environ["QUEUE"], Entries=entries)
""",
    ),
    Answered(
        "secret and parameter",
        "py",
        "secretsmanager:GetSecretValue ssm:GetParameter",
        "secretsmanager:ListSecrets secretsmanager:PutSecretValue ssm:PutParameter ssm:GetParameters",
        """
import json
from functools import lru_cache
import boto3

@lru_cache
def secret(name):
    return json.loads(boto3.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])

@lru_cache
def parameter(name):
    return boto3.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]

def handler(event, context):
    return {"user": secret("db")["username"], "host": parameter("/db/host")}
""",
    ),
    Answered(
        "parameters by path",
        "py",
        "ssm:GetParametersByPath",
        "ssm:GetParameter ssm:GetParameters ssm:DescribeParameters",
        """
import boto3

def handler(event, context):
    pages = boto3.client("ssm").get_paginator("get_parameters_by_path")
    found = {}
    for page in pages.paginate(Path="/shop", Recursive=True):
        found.update({p["Name"]: p["Value"] for p in page["Parameters"]})
    return sorted(found)
""",
    ),
    Answered(
        "start a workflow",
        "py",
        "states:StartExecution events:PutEvents",
        "states:StopExecution states:DescribeExecution events:PutRule lambda:InvokeFunction",
        """
import json
import os
import boto3

def handler(event, context):
    steps = boto3.client("stepfunctions")
    started = steps.start_execution(stateMachineArn=os.environ["FLOW"], input=json.dumps(event))
    boto3.client("events").put_events(
        Entries=[{"Source": "shop", "DetailType": "started", "Detail": started["executionArn"]}]
    )
""",
    ),
    Answered(
        "call another function",
        "py",
        "lambda:InvokeFunction",
        "lambda:UpdateFunctionCode lambda:GetFunction lambda:InvokeAsync",
        """
import json
import boto3
aws_lambda = boto3.client("lambda")

def handler(event, context):
    answer = aws_lambda.invoke(FunctionName="price", Payload=json.dumps(event))
    return json.load(answer["Payload"])
""",
    ),
    Answered(
        "mail",
        "py",
        "ses:SendEmail ses:SendRawEmail",
        "ses:SendTemplatedEmail ses:VerifyEmailIdentity ses:SendBulkTemplatedEmail",
        """
import boto3
from email.message import EmailMessage
ses = boto3.client("ses")

def handler(event, context):
    if event.get("file"):
        message = EmailMessage()
        message.set_content(event["text"])
        ses.send_raw_email(RawMessage={"Data": message.as_bytes()})
    else:
        ses.send_email(
            Source="a@b.example", Destination={"ToAddresses": [event["to"]]},
            Message={"Subject": {"Data": "x"}, "Body": {"Text": {"Data": event["text"]}}},
        )
""",
    ),
    Answered(
        "records of a stream",
        "py",
        "kinesis:PutRecords firehose:PutRecordBatch",
        "kinesis:PutRecord kinesis:GetRecords firehose:PutRecord firehose:DeleteDeliveryStream",
        """
import boto3
kinesis = boto3.client("kinesis")
firehose = boto3.client("firehose")

def handler(event, context):
    kinesis.put_records(StreamName="a", Records=[{"Data": b"x", "PartitionKey": "a"}])
    firehose.put_record_batch(DeliveryStreamName="b", Records=[{"Data": b"x"}])
""",
    ),
    Answered(
        "pictures and texts",
        "py",
        "rekognition:DetectLabels comprehend:DetectSentiment translate:TranslateText",
        "rekognition:CreateCollection comprehend:DetectEntities translate:ListTerminologies polly:SynthesizeSpeech",
        """
import base64
import boto3

def handler(event, context):
    labels = boto3.client("rekognition").detect_labels(
        Image={"Bytes": base64.b64decode(event["picture"])}, MaxLabels=5
    )
    mood = boto3.client("comprehend").detect_sentiment(Text=event["text"], LanguageCode="en")
    text = boto3.client("translate").translate_text(
        Text=event["text"], SourceLanguageCode="en", TargetLanguageCode="de"
    )
    return labels["Labels"], mood["Sentiment"], text["TranslatedText"]
""",
    ),
    Answered(
        "model",
        "py",
        "bedrock:InvokeModel",
        "bedrock:InvokeModelWithResponseStream bedrock:ListFoundationModels bedrock:CreateModelCustomizationJob",
        """
import json
import boto3
bedrock = boto3.client("bedrock-runtime")

def handler(event, context):
    answer = bedrock.invoke_model(modelId="m", body=json.dumps({"prompt": event["prompt"]}))
    return json.loads(answer["body"].read())
""",
    ),
    Answered(
        "people",
        "py",
        "cognito-idp:AdminCreateUser cognito-idp:AdminAddUserToGroup cognito-idp:AdminGetUser",
        "cognito-idp:AdminDeleteUser cognito-idp:ListUsers cognito-idp:AdminSetUserPassword",
        """
import os
import boto3
cognito = boto3.client("cognito-idp")
POOL = os.environ["POOL"]

def handler(event, context):
    name = event["name"]
    try:
        cognito.admin_get_user(UserPoolId=POOL, Username=name)
    except cognito.exceptions.UserNotFoundException:
        cognito.admin_create_user(UserPoolId=POOL, Username=name)
    cognito.admin_add_user_to_group(UserPoolId=POOL, Username=name, GroupName="buyers")
""",
    ),
    Answered(
        "keys",
        "py",
        "kms:Decrypt kms:GenerateDataKey",
        "kms:Encrypt kms:CreateGrant kms:ScheduleKeyDeletion",
        """
import boto3

def handler(event, context):
    kms = boto3.client("kms")
    key = kms.generate_data_key(KeyId="alias/a", KeySpec="AES_256")
    return kms.decrypt(CiphertextBlob=key["CiphertextBlob"])["Plaintext"] == key["Plaintext"]
""",
    ),
    Answered(
        "another account",
        "py",
        "sts:AssumeRole",
        "sts:GetCallerIdentity sts:GetSessionToken iam:PassRole",
        """
import boto3

def handler(event, context):
    found = boto3.client("sts").assume_role(RoleArn=event["role"], RoleSessionName="a")
    keys = found["Credentials"]
    other = boto3.client(
        "s3", aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"],
    )
    return other.list_buckets()["Buckets"]
""",
    ),
    Answered(
        "database over HTTP",
        "py",
        "rds-data:ExecuteStatement secretsmanager:GetSecretValue",
        "rds-data:BatchExecuteStatement rds-data:BeginTransaction secretsmanager:ListSecrets",
        """
import os
import boto3
rds = boto3.client("rds-data")

def handler(event, context):
    return rds.execute_statement(
        resourceArn=os.environ["CLUSTER"], secretArn=os.environ["SECRET"], database="shop",
        sql="select * from orders where id = :id",
        parameters=[{"name": "id", "value": {"stringValue": event["id"]}}],
    )["records"]
""",
    ),
    Answered(
        "open sockets",
        "py",
        "execute-api:ManageConnections dynamodb:Scan dynamodb:DeleteItem",
        "execute-api:Invoke dynamodb:PutItem dynamodb:Query",
        """
import boto3
table = boto3.resource("dynamodb").Table("connections")

def handler(event, context):
    where = event["requestContext"]
    client = boto3.client(
        "apigatewaymanagementapi", endpoint_url=f"https://{where['domainName']}/{where['stage']}"
    )
    for row in table.scan(ProjectionExpression="id")["Items"]:
        try:
            client.post_to_connection(ConnectionId=row["id"], Data=event["body"])
        except client.exceptions.GoneException:
            table.delete_item(Key={"id": row["id"]})
""",
    ),
    Answered(
        "metrics and machines",
        "py",
        "cloudwatch:PutMetricData ec2:DescribeInstances ec2:StopInstances",
        "ec2:TerminateInstances ec2:StartInstances cloudwatch:GetMetricData logs:DeleteLogGroup",
        """
import boto3

def running(ec2):
    for page in ec2.get_paginator("describe_instances").paginate():
        for each in page["Reservations"]:
            yield from (one["InstanceId"] for one in each["Instances"])

def handler(event, context):
    ec2 = boto3.client("ec2")
    ids = list(running(ec2))
    if ids:
        ec2.stop_instances(InstanceIds=ids)
    boto3.client("cloudwatch").put_metric_data(
        Namespace="a", MetricData=[{"MetricName": "stopped", "Value": len(ids)}]
    )
""",
    ),
)


JAVASCRIPT = (
    Answered(
        "read an object",
        "mjs",
        "s3:GetObject",
        _but(_S3, "s3:GetObject"),
        """
import { S3Client, GetObjectCommand } from '@aws-sdk/client-s3'
const s3 = new S3Client({})
export const handler = async (event) => {
  const found = await s3.send(new GetObjectCommand({ Bucket: 'a', Key: event.key }))
  return found.Body.transformToString()
}
""",
    ),
    Answered(
        "link to upload",
        "mjs",
        "s3:PutObject",
        "s3:GetObject s3:DeleteObject",
        """
import { S3Client, PutObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
const client = new S3Client({ region: process.env.AWS_REGION })
export const handler = async (event) => {
  const command = new PutObjectCommand({ Bucket: process.env.BUCKET, Key: event.name })
  return { url: await getSignedUrl(client, command, { expiresIn: 60 }) }
}
""",
    ),
    Answered(
        "big upload",
        "mjs",
        "s3:PutObject s3:AbortMultipartUpload",
        "s3:GetObject s3:DeleteObject",
        """
import { S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
export const handler = async (event) => {
  const upload = new Upload({
    client: new S3Client({}),
    params: { Bucket: 'a', Key: 'b', Body: event.body },
  })
  await upload.done()
}
""",
    ),
    Answered(
        "all keys",
        "mjs",
        "s3:ListBucket s3:DeleteObject",
        "s3:GetObject s3:ListAllMyBuckets",
        """
import { S3Client, paginateListObjectsV2, DeleteObjectsCommand } from '@aws-sdk/client-s3'
const client = new S3Client()
export async function handler() {
  for await (const page of paginateListObjectsV2({ client }, { Bucket: 'a' })) {
    const Objects = (page.Contents ?? []).map(({ Key }) => ({ Key }))
    await client.send(new DeleteObjectsCommand({ Bucket: 'a', Delete: { Objects } }))
  }
}
""",
    ),
    Answered(
        "document client",
        "js",
        "dynamodb:GetItem dynamodb:PutItem",
        _but(_DDB, "dynamodb:GetItem", "dynamodb:PutItem"),
        """
const { DynamoDBClient } = require('@aws-sdk/client-dynamodb')
const { DynamoDBDocumentClient, GetCommand, PutCommand } = require('@aws-sdk/lib-dynamodb')
const db = DynamoDBDocumentClient.from(new DynamoDBClient({}))
exports.handler = async (event) => {
  const { Item } = await db.send(new GetCommand({ TableName: 'a', Key: { id: event.id } }))
  if (!Item) await db.send(new PutCommand({ TableName: 'a', Item: { id: event.id } }))
  return Item
}
""",
    ),
    Answered(
        "shorthand document client",
        "ts",
        "dynamodb:Query dynamodb:DeleteItem",
        _but(_DDB, "dynamodb:Query", "dynamodb:DeleteItem"),
        """
import { DynamoDB } from '@aws-sdk/client-dynamodb'
import { DynamoDBDocument } from '@aws-sdk/lib-dynamodb'

const documents: DynamoDBDocument = DynamoDBDocument.from(new DynamoDB({}))

export const handler = async (event: { user: string }): Promise<number> => {
  const found = await documents.query({
    TableName: process.env.TABLE!,
    KeyConditionExpression: 'pk = :p',
    ExpressionAttributeValues: { ':p': event.user },
  })
  await Promise.all(
    (found.Items ?? []).map((each) => documents.delete({ TableName: process.env.TABLE!, Key: { pk: each.pk } }))
  )
  return found.Count ?? 0
}
""",
    ),
    Answered(
        "transaction",
        "mjs",
        "dynamodb:PutItem dynamodb:DeleteItem",
        "dynamodb:UpdateItem dynamodb:GetItem dynamodb:ConditionCheckItem",
        """
import { DynamoDBClient, TransactWriteItemsCommand } from '@aws-sdk/client-dynamodb'
const client = new DynamoDBClient({})
export const handler = async (event) => client.send(new TransactWriteItemsCommand({
  TransactItems: [
    { Put: { TableName: 'a', Item: { id: { S: event.id } } } },
    { Delete: { TableName: 'b', Key: { id: { S: event.id } } } },
  ],
}))
""",
    ),
    Answered(
        "class of a repository",
        "ts",
        "dynamodb:UpdateItem dynamodb:Scan",
        _but(_DDB, "dynamodb:UpdateItem", "dynamodb:Scan"),
        """
import { DynamoDBClient, UpdateItemCommand, ScanCommand } from '@aws-sdk/client-dynamodb'

class Orders {
  constructor(private readonly client: DynamoDBClient, private readonly table: string) {}

  async pay(id: string) {
    await this.client.send(new UpdateItemCommand({
      TableName: this.table, Key: { id: { S: id } },
      UpdateExpression: 'SET paid = :t', ExpressionAttributeValues: { ':t': { BOOL: true } },
    }))
  }

  async all() {
    const found = await this.client.send(new ScanCommand({ TableName: this.table }))
    return found.Items ?? []
  }
}

const orders = new Orders(new DynamoDBClient({}), 'orders')

export const handler = async (event: any) => {
  await orders.pay(event.id)
  return orders.all()
}
""",
    ),
    Answered(
        "queue and topic",
        "js",
        "sqs:SendMessage sns:Publish",
        _but(_SQS, "sqs:SendMessage") + " sns:Subscribe sns:DeleteTopic",
        """
const { SQSClient, SendMessageBatchCommand } = require('@aws-sdk/client-sqs')
const { SNSClient, PublishCommand } = require('@aws-sdk/client-sns')
const sqs = new SQSClient({})
const sns = new SNSClient({})
module.exports.handler = async (event) => {
  await sqs.send(new SendMessageBatchCommand({
    QueueUrl: process.env.QUEUE,
    Entries: event.items.map((each, n) => ({ Id: `${n}`, MessageBody: JSON.stringify(each) })),
  }))
  await sns.send(new PublishCommand({ TopicArn: process.env.TOPIC, Message: 'done' }))
}
""",
    ),
    Answered(
        "worker",
        "mjs",
        "sqs:ReceiveMessage sqs:DeleteMessage sqs:ChangeMessageVisibility",
        "sqs:SendMessage sqs:PurgeQueue",
        """
import { SQS } from '@aws-sdk/client-sqs'
const sqs = new SQS({})
const QueueUrl = process.env.QUEUE
export const handler = async () => {
  const { Messages = [] } = await sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10 })
  for (const { ReceiptHandle, Body } of Messages) {
    if (Body === 'later') {
      await sqs.changeMessageVisibility({ QueueUrl, ReceiptHandle, VisibilityTimeout: 60 })
    } else {
      await sqs.deleteMessage({ QueueUrl, ReceiptHandle })
    }
  }
}
""",
    ),
    Answered(
        "secret",
        "js",
        "secretsmanager:GetSecretValue ssm:GetParameter",
        "secretsmanager:ListSecrets ssm:GetParameters ssm:PutParameter",
        """
const { SecretsManagerClient, GetSecretValueCommand } = require('@aws-sdk/client-secrets-manager')
const { SSMClient, GetParameterCommand } = require('@aws-sdk/client-ssm')
let cached
async function settings() {
  if (cached) return cached
  const secrets = new SecretsManagerClient({})
  const ssm = new SSMClient({})
  const [secret, host] = await Promise.all([
    secrets.send(new GetSecretValueCommand({ SecretId: 'db' })),
    ssm.send(new GetParameterCommand({ Name: '/db/host' })),
  ])
  cached = { ...JSON.parse(secret.SecretString), host: host.Parameter.Value }
  return cached
}
exports.handler = async () => (await settings()).host
""",
    ),
    Answered(
        "workflow and bus",
        "mjs",
        "states:StartExecution states:SendTaskSuccess events:PutEvents",
        "states:StopExecution states:SendTaskFailure events:PutRule",
        """
import { SFNClient, StartExecutionCommand, SendTaskSuccessCommand } from '@aws-sdk/client-sfn'
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge'
const flows = new SFNClient({})
const bus = new EventBridgeClient({})
export const handler = async (event) => {
  if (event.token) {
    await flows.send(new SendTaskSuccessCommand({ taskToken: event.token, output: '{}' }))
  } else {
    await flows.send(new StartExecutionCommand({ stateMachineArn: process.env.FLOW }))
  }
  await bus.send(new PutEventsCommand({ Entries: [{ Source: 'a', DetailType: 'b', Detail: '{}' }] }))
}
""",
    ),
    Answered(
        "another function",
        "js",
        "lambda:InvokeFunction",
        "lambda:UpdateFunctionCode lambda:ListFunctions",
        """
const { LambdaClient, InvokeCommand } = require('@aws-sdk/client-lambda')
const client = new LambdaClient({})
const call = (name, payload) =>
  client.send(new InvokeCommand({ FunctionName: name, Payload: Buffer.from(JSON.stringify(payload)) }))
exports.handler = async (event) => {
  const names = ['price', 'stock']
  return Promise.all(names.map((name) => call(name, event)))
}
""",
    ),
    Answered(
        "mail",
        "mjs",
        "ses:SendEmail",
        "ses:SendRawEmail ses:SendTemplatedEmail ses:DeleteIdentity",
        """
import { SESClient, SendEmailCommand } from '@aws-sdk/client-ses'
const ses = new SESClient({})
export const handler = async ({ to, text }) => {
  await ses.send(new SendEmailCommand({
    Source: 'a@b.example',
    Destination: { ToAddresses: [to] },
    Message: { Subject: { Data: 'x' }, Body: { Text: { Data: text } } },
  }))
}
""",
    ),
    Answered(
        "model in a stream",
        "mjs",
        "bedrock:InvokeModelWithResponseStream",
        "bedrock:InvokeModel bedrock:ListFoundationModels",
        """
import { BedrockRuntimeClient, InvokeModelWithResponseStreamCommand } from '@aws-sdk/client-bedrock-runtime'
const client = new BedrockRuntimeClient({})
export const handler = async (event) => {
  const command = new InvokeModelWithResponseStreamCommand({ modelId: 'm', body: JSON.stringify(event) })
  const { body } = await client.send(command)
  let text = ''
  for await (const part of body) text += new TextDecoder().decode(part.chunk.bytes)
  return text
}
""",
    ),
    Answered(
        "people",
        "js",
        "cognito-idp:AdminGetUser cognito-idp:AdminUpdateUserAttributes",
        "cognito-idp:AdminDeleteUser cognito-idp:ListUsers",
        """
const {
  CognitoIdentityProviderClient,
  AdminGetUserCommand,
  AdminUpdateUserAttributesCommand,
} = require('@aws-sdk/client-cognito-identity-provider')
const client = new CognitoIdentityProviderClient({})
exports.handler = async (event) => {
  const who = { UserPoolId: process.env.POOL, Username: event.name }
  const found = await client.send(new AdminGetUserCommand(who))
  if (found.UserStatus !== 'CONFIRMED') return
  await client.send(new AdminUpdateUserAttributesCommand({ ...who, UserAttributes: [] }))
}
""",
    ),
    Answered(
        "open sockets",
        "mjs",
        "execute-api:ManageConnections",
        "execute-api:Invoke dynamodb:Scan",
        """
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi'
export const handler = async (event) => {
  const { domainName, stage, connectionId } = event.requestContext
  const client = new ApiGatewayManagementApiClient({ endpoint: `https://${domainName}/${stage}` })
  await client.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: 'hello' }))
  return { statusCode: 200 }
}
""",
    ),
    Answered(
        "keys and identity",
        "mjs",
        "kms:Encrypt sts:AssumeRole",
        "kms:Decrypt kms:ScheduleKeyDeletion sts:GetSessionToken",
        """
import { KMSClient, EncryptCommand } from '@aws-sdk/client-kms'
import { STSClient, AssumeRoleCommand } from '@aws-sdk/client-sts'
const kms = new KMSClient({})
export const handler = async (event) => {
  const sts = new STSClient({})
  const { Credentials } = await sts.send(new AssumeRoleCommand({ RoleArn: event.role, RoleSessionName: 'a' }))
  const sealed = await kms.send(new EncryptCommand({ KeyId: 'alias/a', Plaintext: Buffer.from(event.text) }))
  return { until: Credentials.Expiration, sealed: Buffer.from(sealed.CiphertextBlob).toString('base64') }
}
""",
    ),
    Answered(
        "version 2 of the SDK",
        "js",
        "s3:PutObject dynamodb:PutItem sns:Publish",
        "s3:GetObject dynamodb:Scan sns:Subscribe",
        """
const AWS = require('aws-sdk')
const s3 = new AWS.S3()
const db = new AWS.DynamoDB.DocumentClient()
exports.handler = async (event) => {
  await s3.putObject({ Bucket: 'a', Key: event.id, Body: event.body }).promise()
  await db.put({ TableName: 'a', Item: { id: event.id } }).promise()
  await new AWS.SNS().publish({ TopicArn: process.env.TOPIC, Message: event.id }).promise()
}
""",
    ),
    Answered(
        "waiting for a table",
        "mjs",
        "dynamodb:CreateTable dynamodb:DescribeTable",
        "dynamodb:DeleteTable dynamodb:UpdateTable dynamodb:ListTables",
        """
import { DynamoDBClient, CreateTableCommand, waitUntilTableExists } from '@aws-sdk/client-dynamodb'
const client = new DynamoDBClient({})
export const handler = async ({ name }) => {
  await client.send(new CreateTableCommand({
    TableName: name, BillingMode: 'PAY_PER_REQUEST',
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
  }))
  await waitUntilTableExists({ client, maxWaitTime: 60 }, { TableName: name })
}
""",
    ),
    Answered(
        "in files of its own",
        "js",
        "cloudwatch:PutMetricData logs:PutLogEvents",
        "cloudwatch:DeleteAlarms logs:DeleteLogGroup logs:GetLogEvents",
        """
const { CloudWatchClient, PutMetricDataCommand } = require('@aws-sdk/client-cloudwatch')
const { CloudWatchLogsClient, PutLogEventsCommand } = require('@aws-sdk/client-cloudwatch-logs')

const tell = {
  metric: (name, value) => new CloudWatchClient({}).send(
    new PutMetricDataCommand({ Namespace: 'a', MetricData: [{ MetricName: name, Value: value }] })),
  line: (message) => new CloudWatchLogsClient({}).send(
    new PutLogEventsCommand({ logGroupName: 'a', logStreamName: 'b', logEvents: [{ timestamp: Date.now(), message }] })),
}

exports.handler = async (event) => {
  await tell.metric('calls', 1)
  await tell['line'](event.text)
}
""",
    ),
)
EVERY = (*PYTHON, *JAVASCRIPT)
