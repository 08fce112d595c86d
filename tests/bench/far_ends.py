"""Providers in processes of their own, which take everything: FCM's HTTP, and an SMS centre of another make."""

import asyncio
import json
import multiprocessing
import shutil
import subprocess
from contextlib import ExitStack
from multiprocessing.connection import Connection

from tests.bench.suite import Unavailable
from tests.sms_centre import FOLDER

_ANSWERS = {b"/token": {"access_token": "access", "expires_in": 3600, "token_type": "Bearer"}}
_TAKEN = {"name": "messages/1"}


def fcm(stack: ExitStack) -> str:
    """The base URL of a server that answers as FCM does when all is well."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    stack.callback(process.join)
    stack.callback(process.terminate)
    return f"http://127.0.0.1:{ours.recv()}"


def sms_centre(stack: ExitStack) -> int:
    """The port of a centre.

    Raises:
        Unavailable: Node.js or its package is missing.
    """
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules").is_dir():
        raise Unavailable("needs Node.js, and once: npm ci --prefix tests/sms_centre")
    process = subprocess.Popen([node, "bench.mjs"], cwd=FOLDER, stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    stack.callback(process.kill)
    assert process.stdout is not None
    stack.callback(process.stdout.close)
    return int(json.loads(process.stdout.readline())["port"])


def _serve(port: Connection) -> None:
    asyncio.run(_serving(port))


async def _serving(port: Connection) -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, backlog=1024)
    port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
            await reader.readexactly(length)
            body = json.dumps(_ANSWERS.get(lines[0].split()[1], _TAKEN)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
