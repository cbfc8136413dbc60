"""A TLS connection as a plain socket that two threads may use, one to read and one to write.

OpenSSL does not allow two threads to use one connection at the same time. Here one thread does.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from contextlib import suppress

BLOCK = 2**16


def bridge(connection: socket.socket, server_name: str) -> socket.socket:
    """Speak TLS over a connection, and return a socket for the plain bytes.

    Args:
        connection: to the server; it belongs to the bridge from here on.
        server_name: name or address on the server's certificate.

    Raises:
        OSError: the server does not speak TLS, or its certificate is not trusted.
    """
    context = ssl.create_default_context()
    try:
        encrypted = context.wrap_socket(connection, server_hostname=server_name)
    except OSError:
        connection.close()
        raise
    encrypted.setblocking(False)
    ours, theirs = socket.socketpair()
    threading.Thread(target=_copy, args=(encrypted, theirs), daemon=True).start()
    return ours


def _copy(encrypted: ssl.SSLSocket, plain: socket.socket) -> None:
    """Copy in both directions until one side ends."""
    with encrypted, plain, suppress(OSError):
        while True:
            # What OpenSSL has decrypted already makes no descriptor readable.
            if not encrypted.pending():
                readable, _, _ = select.select([encrypted, plain], [], [])
            else:
                readable = [encrypted]
            if plain in readable:
                data = plain.recv(BLOCK)
                if not data:
                    return
                _send(encrypted, data)
            if encrypted in readable:
                try:
                    data = encrypted.recv(BLOCK)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    continue
                if not data:
                    return
                plain.sendall(data)


def _send(encrypted: ssl.SSLSocket, data: bytes) -> None:
    """Send all data; the socket does not block, so this waits until it takes more."""
    while data:
        try:
            data = data[encrypted.send(data) :]
        except ssl.SSLWantWriteError:
            select.select([], [encrypted], [])
        except ssl.SSLWantReadError:
            select.select([encrypted], [], [])
