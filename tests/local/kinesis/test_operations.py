from __future__ import annotations

import boto3
import pytest

from local.kinesis.operations import OPERATIONS, SUBSCRIBE

_MODEL = boto3.client("kinesis", region_name="us-east-1").meta.service_model
# What neither Herald nor its operators nor the Kinesis Client Library call.
_LEFT_OUT = {
    *("CreateChannel", "DeleteChannel", "DescribeChannel", "ListChannels", "UpdateChannel"),
    *("GetResourcePolicy", "PutResourcePolicy", "DeleteResourcePolicy"),
    *("DescribeAccountSettings", "UpdateAccountSettings", "UpdateMaxRecordSize", "UpdateStreamWarmThroughput"),
    "UpdateStreamRecordDistributionStrategy",
}


def test_every_operation_of_the_service_is_served_or_left_out_on_purpose() -> None:
    assert {*OPERATIONS, SUBSCRIBE} | _LEFT_OUT >= set(_MODEL.operation_names)
    assert not {*OPERATIONS, SUBSCRIBE} & _LEFT_OUT


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_is_the_services(name: str) -> None:
    assert name in _MODEL.operation_names
