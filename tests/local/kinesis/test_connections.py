from __future__ import annotations

import socket

from local.kinesis.connections import drop_connection


def test_only_the_named_connection_is_dropped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        at_one, _ = server.accept()
        other = socket.create_connection(server.getsockname())
        at_other, _ = server.accept()
        with one, at_one, other, at_other:
            host, port = one.getsockname()
            assert drop_connection(f"{host}:{port}")
            one.settimeout(5)
            assert one.recv(1) == b""
            at_other.sendall(b"x")
            assert other.recv(1) == b"x"


def test_an_unknown_peer_is_no_error() -> None:
    assert not drop_connection("127.0.0.1:1")
