"""The Connections table with listeners in it, on a real DynamoDB."""

from typing import Any

from streams.resources import CONNECTIONS, LISTENERS_INDEX


async def make_connections_table(dynamo: Any, prefix: str) -> str:
    """The table with its index; its name."""
    name = f"{prefix}-{CONNECTIONS.name}"
    await dynamo.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "connectionId", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"}
            for attribute in ("connectionId", "sessionId", "targetLanguage")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": LISTENERS_INDEX,
                "KeySchema": [
                    {"AttributeName": "sessionId", "KeyType": "HASH"},
                    {"AttributeName": "targetLanguage", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


async def put_connection(
    dynamo: Any, table: str, connection_id: str, session_id: str, language: str = "", *, returned: bool = False
) -> None:
    """A listener of this language, or the speaker."""
    item: dict[str, Any] = {"connectionId": {"S": connection_id}, "sessionId": {"S": session_id}}
    if language:
        item["targetLanguage"] = {"S": language}
    if returned:
        item["returned"] = {"BOOL": True}
    await dynamo.put_item(TableName=table, Item=item)
