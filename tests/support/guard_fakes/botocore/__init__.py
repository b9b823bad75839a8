"""The part of botocore that tests need."""
