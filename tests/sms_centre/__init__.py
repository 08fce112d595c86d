"""An SMS centre of another make, in a process of its own (npm `smpp`)."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent


def needs_node() -> None:
    """Skip where Node.js or the package is missing; in CI that is a failure."""
    if shutil.which("node") is None or not (FOLDER / "node_modules").is_dir():
        reason = "the SMS centre needs Node.js, and once: npm ci --prefix tests/sms_centre"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


class SmsCentre:
    """The process, and what it said."""

    def __init__(self, port: int = 0) -> None:
        node = shutil.which("node")
        assert node is not None
        command = [node, "centre.mjs", str(port)]
        self._process = subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.PIPE, text=True)
        self.port = int(self._next()["port"])

    def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        event: dict[str, Any] = json.loads(self._process.stdout.readline())
        return event

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> list[dict[str, Any]]:
        """Kill it at once; gives the messages that it had taken."""
        self._process.kill()
        assert self._process.stdout is not None
        if self._process.stdout.closed:
            return []
        events = [json.loads(line) for line in self._process.stdout.read().splitlines() if line.endswith("}")]
        self._process.stdout.close()
        self._process.wait()
        return [event for event in events if event["event"] == "taken"]
