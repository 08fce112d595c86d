"""`liangzheng-verify`: checks licences from the command line.

Exit codes: 0 valid (or done), 1 not valid, 2 used wrongly, 3 cannot tell (or not everything could be synchronised).
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path

from . import _qr, _report
from ._arguments import Command, parse
from .clock import Clock, SystemClock
from .errors import NotValid, VerifierError
from .journal import Journal
from .models import Redeemed, Valid
from .online import OnlineClient
from .policy import Policy
from .trust import TrustStore
from .verifier import Verifier

VALID, NOT_VALID, USAGE, CANNOT_TELL = range(4)
MAX_INPUT_BYTES = 1 << 20  # four times the longest presentation

_MISUSE = frozenset({"anchor_invalid", "anchor_missing", "anchor_changed", "url_not_allowed"})


def main(argv: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    """Run one command; the exit code is returned."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # neither odd input nor a poor terminal is a crash
    arguments = parse(sys.argv[1:] if argv is None else argv, _COMMANDS)
    run: Command = arguments.run
    try:
        return run(arguments, clock or SystemClock())
    except VerifierError as error:
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
    if arguments.online and not arguments.scene:
        raise _Misuse("--online needs --scene")
    text = _qr.read_image(arguments.image) if arguments.image else _code(arguments.code)
    with ExitStack() as stack:
        trust = stack.enter_context(_open(arguments, clock))
        journal = stack.enter_context(Journal.open(_journal_file(arguments))) if arguments.journal else None
        verifier = Verifier(trust, _policy(arguments), clock, journal)
        if arguments.online:
            result = _redeem(verifier, text, arguments, _client(arguments, trust, clock))
        else:
            result = verifier.check(text, arguments.challenge, scene=arguments.scene)
        scenes = trust.knowledge().scenes
    if isinstance(result, Redeemed):
        _print(arguments, _report.redeemed_lines(result, scenes, arguments.lang), _report.redeemed_json(result))
    else:
        _print(arguments, _report.valid_lines(result, arguments.lang), _report.valid_json(result))
    return VALID


def _redeem(verifier: Verifier, text: str, arguments: argparse.Namespace, client: OnlineClient) -> Redeemed | Valid:
    return verifier.redeem(
        text,
        arguments.scene,
        client,
        challenge=arguments.challenge,
        reason=arguments.reason,
        operator=arguments.operator,
        or_offline=arguments.or_offline,
    )


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


def _journal(arguments: argparse.Namespace, clock: Clock) -> int:
    with _open(arguments, clock) as trust, Journal.open(_journal_file(arguments)) as journal:
        if arguments.action == "list":
            entries = journal.entries()
            _print(arguments, _report.journal_lines(entries, arguments.lang), _report.journal_json(entries))
            return VALID
        report = journal.upload(_client(arguments, trust, clock))
    _print(arguments, _report.upload_lines(report, arguments.lang), _report.upload_json(report))
    return VALID


_COMMANDS: Mapping[str, Command] = {
    "check": _check,
    "credential": _credential,
    "journal": _journal,
    "sync": _sync,
    "status": _status,
}


def _client(arguments: argparse.Namespace, trust: TrustStore, clock: Clock) -> OnlineClient:
    if not arguments.client_id or not arguments.client_key:
        raise _Misuse("the platform knows registered verifiers only: give --client-id and --client-key")
    trust_list = trust.trust_list()
    server = arguments.server or (trust_list.iss if trust_list else None)
    if server is None:
        raise _Misuse("give --server, or synchronise first")
    key_pem = _read_bytes(Path(arguments.client_key))
    try:
        return OnlineClient(
            server, arguments.client_id, key_pem, private_network=arguments.private_network, clock=clock
        )
    except ValueError as error:
        raise _Misuse(str(error)) from error


def _journal_file(arguments: argparse.Namespace) -> Path:
    home: Path = arguments.home
    return home / "journal"


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
