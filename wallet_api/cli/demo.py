"""`liangzheng demo`: the six steps in order on a platform of its own, with what happened at each.

Everything runs as separate processes over the public interfaces, as it would between a department, a phone and an
inspector: a server, the command line, and the verifier in an environment that holds nothing but its own wheel.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from wallet_api.cli.console import console, errors

VERIFIER = Path(".verifier/bin/liangzheng-verify")
START_TIMEOUT_S = 60
COMMAND_TIMEOUT_S = 120
VALID, NOT_VALID, CANNOT_TELL = 0, 1, 3  # exit codes of liangzheng-verify
STATUS_AFTER_S = 5  # what we promise from the call to the published list
OLD_AFTER_S = 95  # a live code lives 60 s, and 30 s are allowed for clocks that differ
IDENTIFIER = re.compile(r"1\.2\.156\.3005\.2\.[0-9A-Z.]+")


class DemoFailed(Exception):
    """A step did not do what it should; the message says which and shows what came instead."""


class Demo:
    """One run in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self._home = home
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._env = os.environ | {  # child processes inherit it; no setting is read here
            "DATA_DIR": str(home / "data"),
            "PUBLIC_URL": self.url,
            "LISTEN_PORT": str(port),
            "DATABASE_URL": "",
            "DEPLOYMENT": "embedded",
            "COLUMNS": "160",  # children print to a pipe; do not break their lines at 80
            "REMIND_EVERY_S": "0",  # step 6 does it by hand
            "LIANGZHENG_VERIFIER_HOME": str(home / "verifier"),
        }
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it is ready."""
        log = (self._home / "server.log").open("wb")
        command = [sys.executable, "-m", "wallet_api.cli", "serve"]
        self._server = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._server.poll() is None:
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise DemoFailed(f"the server did not start:\n{(self._home / 'server.log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Stop the server; the demo's holder goes on without it."""
        if self._server is not None and self._server.poll() is None:
            self._server.send_signal(signal.SIGTERM)
            self._server.wait(timeout=20)

    def platform(self, *arguments: str) -> str:
        """Run `liangzheng` and give what it printed."""
        return self._run([sys.executable, "-m", "wallet_api.cli", *arguments], 0)

    def verify(self, *arguments: str, expect: int) -> str:
        """Run `liangzheng-verify`, which must end with the exit code of the expected verdict."""
        return self._run([str(VERIFIER), *arguments], expect)

    def use_another_verifier(self) -> None:
        """From now on a device that has seen nothing yet does the checking."""
        self._env["LIANGZHENG_VERIFIER_HOME"] = str(self._home / "another-verifier")

    def _run(self, command: list[str], expect: int) -> str:
        done = subprocess.run(
            command, env=self._env, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
        if done.returncode != expect:
            shown = " ".join(command)[:200]
            raise DemoFailed(f"{shown}\nended with {done.returncode} instead of {expect}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()


def run_demo() -> int:
    """Run the demo; 0 when every step did what it should."""
    if not VERIFIER.exists():
        errors.print("[red]✗[/] the verifier's own environment is missing: run `make demo`")
        return 1
    home = Path(tempfile.mkdtemp(prefix="liangzheng-demo-"))
    demo = Demo(home)
    try:
        _steps(demo, home)
    except (DemoFailed, subprocess.TimeoutExpired) as error:
        errors.print(f"[red]✗[/] {escape(str(error))}")
        errors.print(f"what the server said is in {home / 'server.log'}")
        return 1
    finally:
        demo.stop()
    shutil.rmtree(home)
    console.print("\n[green]✓[/] one licence, all the way")
    return 0


def _steps(demo: Demo, home: Path) -> None:
    rows, anchor = home / "sample.ndjson", home / "data" / "anchor.pem"
    demo.start()

    _title(1, "In", "归集")
    demo.platform("sample", "--rows", "300", "--wrong", "5", "--out", str(rows))
    _say(demo.platform("import", str(rows)))
    _say("the same file again: " + demo.platform("import", str(rows)).splitlines()[0])
    shown = _first_identifier(demo.platform("licences", "--type", "driving-licence", "--after", "60", "--limit", "1"))
    ending = _first_identifier(demo.platform("licences", "--type", "driving-licence", "--ending-within", "30"))

    _title(2, "Issued", "签发")
    _say(demo.platform("holder", "get", *demo.platform("offer", shown, "--plain").split()))

    demo.verify("sync", f"{demo.url}/api/v1/trust-list", "--anchor", str(anchor), expect=VALID)
    _title(3, "Shown", "亮证")
    demo.stop()
    code = demo.platform("holder", "show", "--once", "--text", "--png", str(home / "code.png"))
    shown_at = time.monotonic()
    _say(f"the server is stopped; the phone shows a code of {len(code)} characters: {code[:60]}…")

    _title(4, "Checked", "核验")
    _say(demo.verify(code, expect=VALID))
    _say("the same code again: " + demo.verify(code, expect=NOT_VALID))
    fresh = demo.platform("holder", "show", "--once", "--text")
    at = len(fresh) - 40
    changed = fresh[:at] + ("A" if fresh[at] != "A" else "B") + fresh[at + 1 :]
    _say("one character changed: " + demo.verify(changed, expect=NOT_VALID))
    _wait(shown_at + OLD_AFTER_S, "a minute and a half later, on another inspector's device")
    demo.start()
    demo.use_another_verifier()
    demo.verify("sync", f"{demo.url}/api/v1/trust-list", "--anchor", str(anchor), expect=VALID)
    _say("the first code: " + demo.verify(code, expect=NOT_VALID))

    _title(5, "Revoked", "吊销")
    _say(demo.platform("department", "revoke", shown))
    _wait(time.monotonic() + STATUS_AFTER_S, "the status list follows")
    _say(demo.verify("sync", expect=VALID))
    _say(demo.verify(demo.platform("holder", "show", "--once", "--text"), expect=NOT_VALID))
    time.sleep(2)
    stale = demo.platform("holder", "show", "--once", "--text")
    _say("with a list older than its limit: " + demo.verify("--max-status-age", "1", stale, expect=CANNOT_TELL))

    _title(6, "Reminded", "提醒")
    _say(demo.platform("remind"))
    _say("a second run: " + demo.platform("remind"))
    _say(demo.platform("inbox", ending))
    until = f"{time.gmtime().tm_year + 6}-12-31"
    _say(demo.platform("department", "renew", ending, "--until", until))
    _say("after the renewal: " + demo.platform("remind"))


def _first_identifier(listing: str) -> str:
    found = IDENTIFIER.search(listing)
    if found is None:
        raise DemoFailed(f"no licence to go on with:\n{listing}")
    return found[0]


def _title(number: int, english: str, chinese: str) -> None:
    console.print(f"\n[bold cyan]{number}. {english} {chinese}[/]")


def _say(text: str) -> None:
    for line in text.splitlines():
        console.print("   " + escape(line), soft_wrap=True)


def _wait(until: float, why: str) -> None:
    with Progress(SpinnerColumn(), TextColumn("   {task.description}"), TimeElapsedColumn(), console=console) as bar:
        bar.add_task(why, total=None)
        while time.monotonic() < until:
            time.sleep(0.2)
