"""The request shapes beside the service's own model, which boto3 carries."""

from __future__ import annotations

import boto3
import msgspec
import pytest

from local.kinesis import requests
from local.kinesis.operations import OPERATIONS, SUBSCRIBE

_MODEL = boto3.client("kinesis", region_name="us-east-1").meta.service_model
_SHAPES = {name: operation.request for name, operation in OPERATIONS.items()} | {SUBSCRIBE: requests.SubscribeToShard}


@pytest.mark.parametrize("name", sorted(_SHAPES))
def test_members_are_the_services(name: str) -> None:
    shape = _MODEL.operation_model(name).input_shape
    ours = {field.encode_name: field for field in msgspec.structs.fields(_SHAPES[name])}
    assert set(ours) <= set(shape.members)
    required = {name for name, field in ours.items() if field.required}
    # The service's model leaves the key of PutRecord open for a newer kind of stream.
    assert required - {"PartitionKey"} == set(shape.required_members) & set(ours)
    assert set(shape.required_members) <= set(ours)
