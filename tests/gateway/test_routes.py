from __future__ import annotations

import importlib

import pytest

from gateway.control import CONTROLS
from gateway.routes import BY_KEY, FUNCTIONS, ROUTES, function, physical_function_name


def test_every_route_has_a_function_and_every_control_route_its_own_code() -> None:
    names = {spec.name for spec in FUNCTIONS}
    assert {route.function for route in ROUTES} <= names
    own = {route.key for route in ROUTES if route.function == "control" and not route.key.startswith("$")}
    assert own == set(CONTROLS)


def test_keys_are_unique() -> None:
    assert len(BY_KEY) == len(ROUTES)


@pytest.mark.parametrize("spec", FUNCTIONS, ids=lambda spec: spec.name)
def test_every_handler_can_be_imported(spec: object) -> None:
    module, _, name = function(spec.name).handler.rpartition(".")  # type: ignore[attr-defined]  # a FunctionSpec
    assert callable(getattr(importlib.import_module(module), name))


def test_memory_and_time_are_those_of_row_n12() -> None:
    assert (function("ingest").memory_mb, function("ingest").time_limit_s) == (1024, 29)
    assert (function("control").memory_mb, function("control").time_limit_s) == (512, 10)


def test_an_unknown_function_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        function("nobody")


def test_functions_are_named_by_environment() -> None:
    assert physical_function_name("herald", "ingest") == "herald-ingest"
