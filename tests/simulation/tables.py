"""DynamoDB as `streams` uses it, in memory: the calls, the conditions and the updates that occur, and no others."""

import functools
import re
from collections.abc import Callable
from typing import Any

from tests.simulation.network import Network, service_error

Item = dict[str, Any]
_TOKEN = re.compile(r"\s*(attribute_not_exists|AND|OR|IN|<=|>=|[(),=<>]|[#:]?\w+)")
KEYS = ("leaseKey", "id", "key", "connectionId")


class SimulatedTables:
    """All tables, and the calls of aiobotocore's client. on_write: told of each row that changes."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.rows: dict[str, dict[tuple[str, str], Item]] = {}
        self.on_write: Callable[[str, Item], None] = lambda table, item: None

    async def put_item(self, **arguments: Any) -> Any:
        def effect() -> Item:
            item = arguments["Item"]
            rows, key = self._place(arguments["TableName"], item)
            self._check(arguments, rows.get(key, {}), "PutItem")
            rows[key] = dict(item)
            self.on_write(arguments["TableName"], item)
            return {}

        return await self._call(f"PutItem {arguments['TableName']}", effect)

    async def update_item(self, **arguments: Any) -> Any:
        def effect() -> Item:
            rows, key = self._place(arguments["TableName"], arguments["Key"])
            old = rows.get(key, {})
            self._check(arguments, old, "UpdateItem")
            new = old | arguments["Key"]
            _update(new, arguments["UpdateExpression"], arguments["ExpressionAttributeValues"])
            rows[key] = new
            self.on_write(arguments["TableName"], new)
            return {}

        return await self._call(f"UpdateItem {arguments['TableName']}", effect)

    async def get_item(self, **arguments: Any) -> Any:
        def effect() -> Item:
            rows, key = self._place(arguments["TableName"], arguments["Key"])
            return {"Item": rows[key]} if key in rows else {}

        return await self._call(f"GetItem {arguments['TableName']}", effect)

    async def batch_get_item(self, **arguments: Any) -> Any:
        def effect() -> Item:
            ((table, wanted),) = arguments["RequestItems"].items()
            places = [self._place(table, key) for key in wanted["Keys"]]
            return {"Responses": {table: [rows[key] for rows, key in places if key in rows]}, "UnprocessedKeys": {}}

        return await self._call(f"BatchGetItem {next(iter(arguments['RequestItems']))}", effect)

    async def scan(self, **arguments: Any) -> Any:
        def effect() -> Item:
            return {"Items": [dict(row) for row in self.rows.get(arguments["TableName"], {}).values()]}

        return await self._call(f"Scan {arguments['TableName']}", effect)

    async def delete_item(self, **arguments: Any) -> Any:
        def effect() -> Item:
            rows, key = self._place(arguments["TableName"], arguments["Key"])
            rows.pop(key, None)
            return {}

        return await self._call(f"DeleteItem {arguments['TableName']}", effect)

    async def query(self, **arguments: Any) -> Any:
        """The index of the listeners, in the order of its range key."""

        def effect() -> Item:
            condition = _compiled(arguments["KeyConditionExpression"])
            rows = self.rows.get(arguments["TableName"], {}).values()
            found = [row for row in rows if "targetLanguage" in row]
            found = [row for row in found if condition(row, {}, arguments["ExpressionAttributeValues"])]
            found.sort(key=lambda row: str(row["targetLanguage"]["S"]))
            return {"Items": found[: arguments.get("Limit", 1_000_000)]}

        return await self._call(f"Query {arguments['TableName']}", effect)

    async def _call(self, operation: str, effect: Callable[[], Item]) -> Any:
        return await self._network.call(operation, effect, "ThrottlingException")

    def _place(self, table: str, item: Item) -> tuple[dict[tuple[str, str], Item], tuple[str, str]]:
        key = next(item[name]["S"] for name in KEYS if name in item)
        return self.rows.setdefault(table, {}), (key, item["part"]["S"] if "part" in item else "")

    @staticmethod
    def _check(arguments: Item, row: Item, operation: str) -> None:
        condition = arguments.get("ConditionExpression")
        if condition is None:
            return
        names = arguments.get("ExpressionAttributeNames", {})
        if not _compiled(condition)(row, names, arguments.get("ExpressionAttributeValues", {})):
            raise service_error(operation, "ConditionalCheckFailedException")


Condition = Callable[[Item, Item, Item], bool]


@functools.cache
def _compiled(condition: str) -> Condition:
    tokens = _TOKEN.findall(condition)
    test = _either(tokens)
    assert not tokens, tokens
    return test


def _either(tokens: list[str]) -> Condition:
    tests = [_both(tokens)]
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        tests.append(_both(tokens))
    return lambda *context: any(test(*context) for test in tests)


def _both(tokens: list[str]) -> Condition:
    tests = [_one(tokens)]
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        tests.append(_one(tokens))
    return lambda *context: all(test(*context) for test in tests)


def _one(tokens: list[str]) -> Condition:
    first = tokens.pop(0)
    if first == "(":
        inside = _either(tokens)
        assert tokens.pop(0) == ")"
        return inside
    if first == "attribute_not_exists":
        _, name, _ = tokens.pop(0), tokens.pop(0), tokens.pop(0)
        return lambda row, names, values: names.get(name, name) not in row
    operator = tokens.pop(0)
    if operator == "IN":
        choices = []
        while tokens.pop(0) != ")":
            choices.append(tokens.pop(0))
        return lambda row, names, values: row.get(names.get(first, first)) in [values[one] for one in choices]
    value = tokens.pop(0)

    def compare(row: Item, names: Item, values: Item) -> bool:
        held, wanted = row.get(names.get(first, first)), values[value]
        if held is None or held.keys() != wanted.keys():
            return False
        one, other = (int(side["N"]) if "N" in side else side["S"] for side in (held, wanted))
        return {"=": one == other, "<": one < other, "<=": one <= other, ">": one > other}[operator]

    return compare


def _update(row: Item, expression: str, values: Item) -> None:
    parts = re.split(r"\s*\b(SET|ADD|REMOVE)\b\s*", expression)[1:]
    for verb, body in zip(parts[::2], parts[1::2], strict=True):
        for clause in body.split(","):
            words = clause.split()
            match verb, words:
                case "SET", [name, "=", value]:
                    row[name] = values[value]
                case "SET", [name, "=", other, "+", value]:
                    row[name] = {"N": str(int(row[other]["N"]) + int(values[value]["N"]))}
                case "ADD", [name, value]:
                    row[name] = {"N": str(int(row.get(name, {"N": "0"})["N"]) + int(values[value]["N"]))}
                case "REMOVE", [name]:
                    row.pop(name, None)
                case _:
                    raise AssertionError(clause)
