"""The arguments of `liangzheng-verify`."""

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from .clock import Clock
from .policy import Policy

Command = Callable[[argparse.Namespace, Clock], int]

_DEFAULTS = Policy()
_FLAGS = frozenset(
    ("--json", "--online", "--or-offline", "--journal", "--replace-anchor", "--private-network", "-h", "--help")
)


def parse(argv: Sequence[str], commands: Mapping[str, Command]) -> argparse.Namespace:
    """The arguments; `run` is the command's function. Ends the program when they are wrong."""
    return _parser(commands).parse_args(_with_command(list(argv), commands))


def _with_command(argv: list[str], commands: Mapping[str, Command]) -> list[str]:
    """`liangzheng-verify CODE` stands for `liangzheng-verify check CODE`; options may stand before the command."""
    if not argv or argv[0] in ("-h", "--help"):
        return argv
    for at, argument in enumerate(argv):
        if argument in commands and (at == 0 or not _takes_value(argv[at - 1])):
            return [argument, *argv[:at], *argv[at + 1 :]]
    return ["check", *argv]


def _takes_value(argument: str) -> bool:
    return argument.startswith("--") and "=" not in argument and argument not in _FLAGS


def _parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    common, limits, online = _common(), _limits(), _online()
    parser = argparse.ArgumentParser(
        prog="liangzheng-verify",
        description="Checks licences of a Liangzheng wallet. `liangzheng-verify CODE` stands for `check CODE`.",
        epilog="Exit codes: 0 valid, 1 not valid, 2 used wrongly, 3 cannot tell.",
    )
    added = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, help: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        one = added.add_parser(name, help=help, description=help, parents=[common, *parents])
        one.set_defaults(run=commands[name])
        return one

    check = command("check", "check a live code", limits, online)
    check.add_argument("code", nargs="?", help="what the QR code says; - reads it from the standard input")
    check.add_argument("--image", type=Path, metavar="FILE", help="read the QR code from an image (extra: qr)")
    check.add_argument("--challenge", type=_challenge, metavar="HEX", help="the challenge that was given to the holder")
    check.add_argument("--scene", metavar="ID", help="the scene of the trust list that the check is made in")
    check.add_argument("--online", action="store_true", help="have the platform check it: live state, photo, items")
    check.add_argument("--or-offline", action="store_true", help="with --online: check here when there is no network")
    check.add_argument("--reason", metavar="TEXT", help="with --online: why, for the holder's access log")
    check.add_argument("--operator", metavar="ID", help="with --online: the inspector's own id, for the access log")
    check.add_argument("--journal", action="store_true", help="enter a valid check without a network into the journal")
    credential = command("credential", "check an SD-JWT VC as issued", limits)
    credential.add_argument("file", help="the file; - reads the standard input")
    journal = command("journal", "the checks made without a network that wait to be uploaded", online)
    journal.add_argument("action", choices=("list", "upload"))
    sync = command("sync", "fetch the trust list and the status lists")
    sync.add_argument("url", nargs="?", help="of the trust list; remembered after the first time")
    sync.add_argument(
        "--anchor", type=Path, action="append", default=[], metavar="FILE",
        help="root certificate, PEM or DER; needed the first time, remembered afterwards",
    )  # fmt: skip
    sync.add_argument("--replace-anchor", action="store_true", help="trust --anchor instead of the remembered ones")
    command("status", "show what this device knows and how old it is")
    return parser


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--home", type=Path, default=_default_home(), help="where the knowledge is kept (%(default)s)")
    common.add_argument("--lang", choices=("zh", "en"), default=_default_language(), help="language of the output")
    common.add_argument("--json", action="store_true", help="output for programs")
    common.add_argument("--private-network", action="store_true", help="the host may have a private address")
    return common


def _limits() -> argparse.ArgumentParser:
    limits = argparse.ArgumentParser(add_help=False)
    for name, default in (("status", _DEFAULTS.max_status_age), ("trust", _DEFAULTS.max_trust_age)):
        limits.add_argument(
            f"--max-{name}-age",
            type=_age,
            default=default,
            metavar="SECONDS",
            help=f"how old the {name} list may be ({int(default.total_seconds())})",
        )
    return limits


def _online() -> argparse.ArgumentParser:
    online = argparse.ArgumentParser(add_help=False)
    for name, metavar, help in (
        ("server", "URL", "the platform; by default the one that issued the trust list"),
        ("client-id", "ID", "this verifier's registered id"),
        ("client-key", "FILE", "its private key, PEM"),
    ):
        variable = f"LIANGZHENG_VERIFIER_{name.replace('-', '_').upper()}"
        online.add_argument(
            f"--{name}", metavar=metavar, default=os.environ.get(variable), help=f"{help} (${variable})"
        )
    return online


def _default_home() -> Path:
    home = os.environ.get("LIANGZHENG_VERIFIER_HOME")
    return Path(home) if home else Path.home() / ".local" / "share" / "liangzheng-verifier"


def _default_language() -> str:
    return "en" if os.environ.get("LANG", "zh").lower().startswith("en") else "zh"


def _age(text: str) -> timedelta:
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not 0 <= seconds <= 366 * 86_400:
        raise argparse.ArgumentTypeError("not a number of seconds between 0 and a year")
    return timedelta(seconds=seconds)


def _challenge(text: str) -> bytes:
    try:
        challenge = bytes.fromhex(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("a challenge is written in hexadecimal") from error
    if not 8 <= len(challenge) <= 64:
        raise argparse.ArgumentTypeError("a challenge has 8 to 64 bytes")
    return challenge
