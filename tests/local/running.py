"""Twins run as their own programs for a test, and clients to talk to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import psutil
import pytest
from botocore.config import Config

KEY, SECRET = "test-key", "test-secret"
CONTRACT = "HERALD_CONTRACT"
"""Set to `aws`, the contract tests run against the real services, with the caller's own credentials."""


@dataclass
class Running:
    """A twin that serves."""

    url: str
    process: subprocess.Popen[str]

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Use the control plane."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_herald/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    @contextmanager
    def faults(self, *faults: dict[str, object]) -> Iterator[None]:
        """Switch faults on for a while."""
        self.control("PUT", "faults", list(faults))
        try:
            yield
        finally:
            self.control("DELETE", "faults")

    def children(self) -> list[psutil.Process]:
        """All processes that it has started, and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self) -> int:
        """SIGTERM, and its exit code; it must end by itself."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=10)


@contextmanager
def running(name: str, *arguments: str, log: int = subprocess.DEVNULL) -> Iterator[Running]:
    """Run `python -m local.NAME`; it is ended with the block, whatever happens. `log` is a file for its stderr."""
    process = subprocess.Popen(
        (sys.executable, "-m", f"local.{name}", "--port", "0", "--die-with-parent", *arguments),
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET},
    )
    try:
        assert process.stdout is not None
        word, _, url = process.stdout.readline().strip().partition(" ")
        assert word == "ready"
        yield Running(url, process)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def client(service: str, url: str, *, secret: str = SECRET, attempts: int = 1, timeout_s: float = 20) -> Iterator[Any]:
    """A boto3 client of a twin; without retries unless asked for."""
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=timeout_s)
    made = boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=secret,
        config=config,
    )
    try:
        yield made
    finally:
        made.close()


@contextmanager
def contract_client(service: str) -> Iterator[Any]:
    """The client for a contract test: of a twin of its own, or of the real service where `CONTRACT` says so."""
    if os.environ.get(CONTRACT) == "aws":
        real = boto3.client(service)
        try:
            yield real
        finally:
            real.close()
    else:
        with running(service) as twin, client(service, twin.url) as made:
            yield made


def error_of(made: Any, call: Callable[[], object]) -> dict[str, Any]:
    """What a refused call answers: `Code`, `Message`, and the status as `Status`."""
    with pytest.raises(made.exceptions.ClientError) as caught:
        call()
    response = caught.value.response
    return {
        **response["Error"],
        **{name: value for name, value in response.items() if isinstance(value, str)},
        "Status": response["ResponseMetadata"]["HTTPStatusCode"],
    }
