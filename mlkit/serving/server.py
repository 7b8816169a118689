"""One process of a server: the application on uvicorn, from the first model to the last answer."""

import asyncio
import contextlib
import errno
import gc
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from mlkit.core.deferred import Deferred
from mlkit.serving.application import App

uvicorn = Deferred("uvicorn", 'mlkit serve runs on uvicorn: pip install "mlkit-engine[serve]"')
_BACKLOG = 2048
_PORT_IS_TAKEN = "Another program listens there; --port takes another, or 0 for any that is free."
# Proxies and clients keep connections for 60 seconds; they would else meet one just closed.
_KEEP_ALIVE = 75  # seconds
_SWITCH = (
    0.001  # seconds for which a thread may keep the others waiting; Python's own 5 ms would be a long time for a small model
)


def listening(host: str, port: int, shared: bool = False) -> socket.socket:
    """A socket bound to an address. shared: as one of several of it, among which connections are dealt out."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OSError(f"serve: {host}:{port} cannot be listened at: {error.strerror}.") from None
    family, kind, number, _, address = found[0]
    sock = socket.socket(family, kind, number)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        advice = f" {_PORT_IS_TAKEN}" if error.errno == errno.EADDRINUSE else ""
        raise OSError(f"serve: {host}:{port} cannot be listened at: {error.strerror}.{advice}") from None
    return sock


def serve(
    models: dict[str, Any],
    settings: dict[str, Any],
    sock: socket.socket,
    ready: Callable[[], None],
    is_one_of_several: bool = False,
) -> int:
    """Serve until SIGTERM or SIGINT comes: then answer what is under way, and return 0.

    Args:
        models, settings: See `App`.
        sock: Bound to the address.
        ready: Called once all models have been looked at.
        is_one_of_several: Whether other processes have the address too. Then it listens only when its models are loaded: connections
            wait for that. Alone it listens at once, and says that it is not ready.

    Returns:
        The exit status: 1 where a file that was named cannot be served.
    """
    application = App(models, **settings)
    config = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="on",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(application.timeout) + 1,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # uvicorn would die of the signal in the end
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    if is_one_of_several:
        application.store.start()
        application.store.settled.wait()
    wrong: list[str] = []

    def begin() -> None:
        application.store.settled.wait()
        wrong.extend(application.store.fatal())
        if wrong:
            server.should_exit = True
            return
        gc.collect()
        gc.freeze()  # models stay: nothing is gained by going through them again and again
        ready()

    threading.Thread(target=begin, name="mlkit-begin", daemon=True).start()
    sys.setswitchinterval(_SWITCH)
    asyncio.run(server.serve(sockets=[sock]))
    for text in wrong:
        print(f"mlkit serve: {text}", file=sys.stderr)
    return int(bool(wrong))
