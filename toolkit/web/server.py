"""Waitress with every limit set."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import waitress

from toolkit.errors import BusyError, ConfigurationError, StorageError
from toolkit.web.settings import WebLimits, WebSettings

if TYPE_CHECKING:
    from flask import Flask

_BACKLOG = 64


def serve(app: Flask, settings: WebSettings, ready: Callable[[str], None]) -> None:
    """Answer requests until the process is interrupted; call ``ready`` with the address once it is open."""
    logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
    # Requests that wait for a thread are normal; the queue has a limit.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    with _listen(settings.host, settings.port) as listener:
        server = waitress.create_server(app, sockets=[listener], **limits(settings.limits))
        # Waitress waits for 5 s, and the end of the process would then abort a merge in native code.
        dispatcher = server.task_dispatcher
        dispatcher.shutdown = partial(dispatcher.shutdown, timeout=settings.limits.merge_seconds)
        try:
            host, port = listener.getsockname()[:2]
            ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
            server.run()
        finally:
            server.close()


def limits(of: WebLimits) -> dict[str, Any]:
    """Every limit of waitress, whose defaults are all interfaces and bodies of a gigabyte."""
    return {
        "threads": 4,
        "backlog": _BACKLOG,
        "connection_limit": 100,
        "channel_timeout": 30,
        "cleanup_interval": 10,
        "channel_request_lookahead": 0,
        "max_request_header_size": 16 << 10,
        "max_request_body_size": of.picture_bytes,
        "inbuf_overflow": 1 << 20,
        "outbuf_overflow": 1 << 20,
        "outbuf_high_watermark": 16 << 20,
        "expose_tracebacks": False,
        "log_socket_errors": False,
        "clear_untrusted_proxy_headers": True,
        "ident": None,
    }


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError, OverflowError) as error:
        raise ConfigurationError(
            f"{host}:{port} is not an address of this machine", hint="give an address with --host"
        ) from error
    both = family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise _refused(error, host, port) from error


def _refused(error: OSError, host: str, port: int) -> BusyError | ConfigurationError | StorageError:
    if error.errno == errno.EADDRINUSE:
        return BusyError(f"port {port} of {host} is taken", hint=f"serve on another one: --port {port + 1}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigurationError(f"no permission to use port {port}", hint="choose one above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigurationError(
            f"{host} is not an address of this machine", hint="give an address with --host"
        )
    return StorageError(f"{host}:{port} could not be opened", hint="choose another port with --port")
