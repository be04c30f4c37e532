"""Cutting a TCP connection that the HTTP server holds, for the fault `cut`.

granian offers no way to drop a connection in the middle of an answer, and an answer that merely ends too early
passes for a whole one in some clients. The server lives in this process, so its sockets can be found by their peer.
"""

from __future__ import annotations

import os
import socket
import stat


def drop_connection(peer: str) -> bool:
    """Shut down the connection whose other end is `peer` (`HOST:PORT`, IPv4), both ways; whether there was one."""
    host, _, port = peer.rpartition(":")
    wanted = (host, int(port))
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            copy = socket.socket(fileno=os.dup(int(name)))
        except OSError:  # closed since it was listed
            continue
        with copy:
            try:
                found = copy.getpeername() == wanted
            except OSError:  # it listens, or is not connected
                continue
            if found:
                copy.shutdown(socket.SHUT_RDWR)
                return True
    return False
