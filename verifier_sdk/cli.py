"""`liangzheng-verify`: checks licences from the command line.

Exit codes: 0 valid (or done), 1 not valid, 2 used wrongly, 3 cannot tell (or not everything could be synchronised).
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from io import TextIOWrapper
from pathlib import Path

from . import _qr, _report
from .clock import Clock, SystemClock
from .errors import CannotTell, NotValid, TrustError
from .policy import Policy
from .trust import TrustStore
from .verifier import Verifier

VALID, NOT_VALID, USAGE, CANNOT_TELL = range(4)
MAX_INPUT_BYTES = 1 << 20  # four times the longest presentation

_DEFAULTS = Policy()
_MISUSE = frozenset({"anchor_invalid", "anchor_missing", "anchor_changed", "url_not_allowed"})


def main(argv: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Run one command; the exit code is returned."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # neither odd input nor a poor terminal is a crash
    arguments = _parser().parse_args(_with_command(list(sys.argv[1:] if argv is None else argv)))
    run: Callable[[argparse.Namespace, Clock], int] = arguments.run
    try:
        return run(arguments, clock or SystemClock())
    except (NotValid, CannotTell, TrustError) as error:
        _print(arguments, _report.refusal_lines(error, arguments.lang), _report.refusal_json(error))
        if isinstance(error, NotValid):
            return NOT_VALID
        return USAGE if error.code in _MISUSE else CANNOT_TELL
    except (_Misuse, _qr.QrUnreadable) as error:
        print(f"liangzheng-verify: {error}", file=sys.stderr)
        return USAGE


class _Misuse(Exception):
    """The command line asks for something that cannot be done."""


def _check(arguments: argparse.Namespace, clock: Clock) -> int:
    if (arguments.code is None) == (arguments.image is None):
        raise _Misuse("give either a code (- reads it from the standard input) or --image")
    text = _qr.read_image(arguments.image) if arguments.image else _code(arguments.code)
    with _open(arguments, clock) as trust:
        result = Verifier(trust, _policy(arguments), clock).check(text, arguments.challenge, scene=arguments.scene)
    _print(arguments, _report.valid_lines(result, arguments.lang), _report.valid_json(result))
    return VALID


def _credential(arguments: argparse.Namespace, clock: Clock) -> int:
    text = _code(arguments.file) if arguments.file == "-" else _read(Path(arguments.file))
    with _open(arguments, clock) as trust:
        result = Verifier(trust, _policy(arguments), clock).check_credential(text)
    _print(arguments, _report.credential_lines(result, arguments.lang), _report.credential_json(result))
    return VALID


def _sync(arguments: argparse.Namespace, clock: Clock) -> int:
    anchors = [_read_bytes(path) for path in arguments.anchor]
    if arguments.replace_anchor and not anchors:
        raise _Misuse("--replace-anchor needs --anchor")
    with _open(arguments, clock, anchors, arguments.replace_anchor) as trust:
        report = trust.sync(arguments.url, private_network=arguments.private_network)
    _print(arguments, _report.sync_lines(report, arguments.lang), _report.sync_json(report))
    return VALID if report.complete else CANNOT_TELL


def _status(arguments: argparse.Namespace, clock: Clock) -> int:
    with _open(arguments, clock) as trust:
        knowledge = trust.knowledge()
    _print(arguments, _report.knowledge_lines(knowledge, arguments.lang), _report.knowledge_json(knowledge))
    return VALID if knowledge.trust_age is not None else CANNOT_TELL


_COMMANDS = {"check": _check, "credential": _credential, "sync": _sync, "status": _status}
_WITH_VALUE = frozenset(
    ("--home", "--scene", "--lang", "--max-status-age", "--max-trust-age", "--image", "--challenge", "--anchor")
)


def _with_command(argv: list[str]) -> list[str]:
    """`liangzheng-verify CODE` stands for `liangzheng-verify check CODE`; options may stand before the command."""
    if not argv or argv[0] in ("-h", "--help"):
        return argv
    for at, argument in enumerate(argv):
        if argument in _COMMANDS and (at == 0 or argv[at - 1] not in _WITH_VALUE):
            return [argument, *argv[:at], *argv[at + 1 :]]
    return ["check", *argv]


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home", type=Path, default=_default_home(), help="where the knowledge is kept (%(default)s)")
    common.add_argument("--lang", choices=("zh", "en"), default=_default_language(), help="language of the output")
    common.add_argument("--json", action="store_true", help="output for programs")
    limits = argparse.ArgumentParser(add_help=False)
    for name, default in (("status", _DEFAULTS.max_status_age), ("trust", _DEFAULTS.max_trust_age)):
        limits.add_argument(
            f"--max-{name}-age",
            type=_age,
            default=default,
            metavar="SECONDS",
            help=f"how old the {name} list may be ({int(default.total_seconds())})",
        )

    parser = argparse.ArgumentParser(
        prog="liangzheng-verify",
        description="Checks licences of a Liangzheng wallet. `liangzheng-verify CODE` stands for `check CODE`.",
        epilog="Exit codes: 0 valid, 1 not valid, 2 used wrongly, 3 cannot tell.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, help: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help, parents=[common, *parents])
        added.set_defaults(run=_COMMANDS[name])
        return added

    check = command("check", "check a live code", limits)
    check.add_argument("code", nargs="?", help="what the QR code says; - reads it from the standard input")
    check.add_argument("--image", type=Path, metavar="FILE", help="read the QR code from an image (extra: qr)")
    check.add_argument("--challenge", type=_challenge, metavar="HEX", help="the challenge that was given to the holder")
    check.add_argument("--scene", metavar="ID", help="the scene of the trust list that the check is made in")
    credential = command("credential", "check an SD-JWT VC as issued", limits)
    credential.add_argument("file", help="the file; - reads the standard input")
    sync = command("sync", "fetch the trust list and the status lists")
    sync.add_argument("url", nargs="?", help="of the trust list; remembered after the first time")
    sync.add_argument(
        "--anchor", type=Path, action="append", default=[], metavar="FILE",
        help="root certificate, PEM or DER; needed the first time, remembered afterwards",
    )  # fmt: skip
    sync.add_argument("--replace-anchor", action="store_true", help="trust --anchor instead of the remembered ones")
    sync.add_argument("--private-network", action="store_true", help="the host may have a private address")
    command("status", "show what this device knows and how old it is")
    return parser


def _default_home() -> Path:
    home = os.environ.get("LIANGZHENG_VERIFIER_HOME")
    return Path(home) if home else Path.home() / ".local" / "share" / "liangzheng-verifier"


def _default_language() -> str:
    return "en" if os.environ.get("LANG", "zh").lower().startswith("en") else "zh"


def _age(text: str) -> timedelta:
    seconds = int(text)
    if not 0 <= seconds <= 366 * 86_400:
        raise argparse.ArgumentTypeError("not between 0 and a year")
    return timedelta(seconds=seconds)


def _challenge(text: str) -> bytes:
    challenge = bytes.fromhex(text)
    if not 8 <= len(challenge) <= 64:
        raise argparse.ArgumentTypeError("a challenge has 8 to 64 bytes")
    return challenge


def _policy(arguments: argparse.Namespace) -> Policy:
    return Policy(max_trust_age=arguments.max_trust_age, max_status_age=arguments.max_status_age)


def _open(
    arguments: argparse.Namespace, clock: Clock, anchors: Sequence[bytes] = (), replace: bool = False
) -> TrustStore:
    return TrustStore.open(arguments.home, anchors, replace_anchors=replace, clock=clock)


def _code(argument: str) -> str:
    if argument != "-":
        return argument.strip()
    return sys.stdin.read(MAX_INPUT_BYTES).strip()


def _read(path: Path) -> str:
    return _read_bytes(path).decode("utf-8", "replace").strip()


def _read_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_INPUT_BYTES)
    except OSError as error:
        raise _Misuse(f"{path} cannot be read") from error


def _print(arguments: argparse.Namespace, lines: Iterable[str], value: Mapping[str, object]) -> None:
    print(json.dumps(value, ensure_ascii=True) if arguments.json else "\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
