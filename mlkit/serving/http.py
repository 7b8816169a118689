"""HTTP as ASGI has it: bodies with a limit, answers, and which function a path belongs to."""

import asyncio
import re
import zlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mlkit.serving.contract import RequestError, bad
from mlkit.serving.json_body import written

JSON = b"application/json"
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ClientLeft(Exception):
    """The connection was closed before the answer: nobody is there to hear it."""


@dataclass
class Answer:
    """A response, whole."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def send(self, send: Send) -> None:
        head = [(b"content-type", self.content_type), (b"content-length", b"%d" % len(self.body)), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        await send({"type": "http.response.body", "body": self.body})


def answer_of(error: RequestError) -> Answer:
    headers = [] if error.retry_after is None else [(b"retry-after", b"%d" % error.retry_after)]
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if error.status == 408:
        headers.append((b"connection", b"close"))  # the rest of the body may come yet, and is no request
    return Answer(written({"error": error.message}), error.status, headers=headers)


def header(scope: dict[str, Any], name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


async def body_of(scope: dict[str, Any], receive: Receive, limit: int, seconds: float) -> bytes:
    """The body of a request.

    Args:
        limit: Bytes that it may have, unpacked too.
        seconds: In which it has to come.

    Raises:
        RequestError: It is larger, late, or packed in a way that is not known.
        ClientLeft: The connection was closed.
    """
    length = header(scope, b"content-length")
    if length is not None:
        if not length.isdigit():
            raise bad(f"Content-Length is {length.decode('latin-1')[:40]!r}.")
        if len(length) > 20 or int(length) > limit:
            raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        body = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
    else:
        try:
            body = await asyncio.wait_for(_rest(message, receive, limit), seconds)
        except TimeoutError:
            raise RequestError(408, f"the body did not come within {seconds:g} s.") from None
    return _unpacked(body, header(scope, b"content-encoding"), limit)


async def _rest(message: dict[str, Any], receive: Receive, limit: int) -> bytes:
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def _unpacked(body: bytes, encoding: bytes | None, limit: int) -> bytes:
    if encoding in (None, b"identity"):
        return body
    if encoding not in (b"gzip", b"deflate"):
        raise RequestError(
            415, f"Content-Encoding {encoding.decode('latin-1')[:40]!r} is not known; there are gzip and deflate."
        )
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | (16 if encoding == b"gzip" else 0))
    try:
        found = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise bad(f"the body is not {encoding.decode()}: {error}.") from None
    if len(found) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise bad(f"the body ends in the middle of its {encoding.decode()}.")
    return found


def _too_large(limit: int) -> RequestError:
    return RequestError(413, f"the body is larger than {limit} bytes; a server started with a larger --max-body takes it.")


class Router:
    """Finds what answers a request.

    Args:
        routes: (method, path, handler) each. In a path ``{name}`` stands for one part.
    """

    def __init__(self, routes: Iterable[tuple[str, str, Callable[..., Any]]]):
        self._routes = [(method, re.compile(_pattern(path)), handler) for method, path, handler in routes]
        self._paths = [f"{method} {path}" for method, path, _ in routes]

    def find(self, method: str, path: str) -> tuple[Callable[..., Any], dict[str, Any]]:
        """(the handler, what the names in its path stand for).

        Raises:
            RequestError: There is no such path (404), or it has other methods (405).
        """
        allowed = []
        for own, pattern, handler in self._routes:
            match = pattern.fullmatch(path)
            if match is not None:
                if own == method or (own, method) == ("GET", "HEAD"):
                    return handler, match.groupdict()
                allowed.append(own)
        if allowed:
            raise RequestError(405, f"{path[:200]} is asked by {' or '.join(allowed)}, not {method}.")
        raise RequestError(404, f"there is no path {path[:200]!r}; there are {', '.join(self._paths)}.")


def _pattern(path: str) -> str:
    return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", re.sub(r"\[(.*?)\]", r"(?:\1)?", path))
