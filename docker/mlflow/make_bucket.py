"""Make the bucket for artifacts if it is not there yet."""

from __future__ import annotations

import os

import boto3
from botocore.exceptions import ClientError

bucket = os.environ["ARTIFACT_BUCKET"]
client = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
try:
    client.create_bucket(Bucket=bucket)
except ClientError as error:
    if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
        raise
    print(f"bucket {bucket}: there already")
else:
    print(f"bucket {bucket}: made")
