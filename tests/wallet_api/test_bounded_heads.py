"""A request's head is bounded by the server itself; what comes after it is not counted to it."""

import asyncio
from typing import Any

from uvicorn.server import ServerState

from tests.quiet_server import quiet
from wallet_api.bounded_heads import MAX_HEAD_BYTES, BoundedHeads


async def _taken(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def _answers(*requests: bytes) -> bytes:
    """All that a server says on one connection to these requests, sent one after the other without a pause."""
    config = quiet(_taken, http=BoundedHeads, lifespan="off")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: BoundedHeads(config, state, {}), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"".join(requests))
        answers = await reader.read()
        writer.close()
    return answers


def _request(length: int = 0, *, head: int = 0, more: bytes = b"") -> bytes:
    fields = b"host: h\r\ncontent-length: %d\r\nx: " % length + b"x" * head + b"\r\n" + more
    return b"POST / HTTP/1.1\r\n" + fields + b"\r\n" + b"b" * length


async def test_a_head_without_an_end_is_refused_and_not_kept() -> None:
    endless = b"GET / HTTP/1.1\r\nx: "
    answers = await _answers(endless + b"x" * (MAX_HEAD_BYTES + 1 - len(endless)))
    assert answers.startswith(b"HTTP/1.1 431 ")
    assert answers.count(b"HTTP/1.1 ") == 1


async def test_bodies_and_earlier_requests_do_not_count_to_a_head() -> None:
    sent = [_request(head=200_000), _request(2 * MAX_HEAD_BYTES), _request(head=200_000)]
    answers = await _answers(*sent, _request(more=b"connection: close\r\n"))
    assert answers.count(b"HTTP/1.1 204 ") == 4
