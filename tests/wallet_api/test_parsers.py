"""Whatever comes in over HTTP, a parser gives a value or one of our errors."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.registry.errors import IdentifierError, RowError
from credentials.registry.formats.gbt36903 import row_from_line
from credentials.registry.formats.gbt36904 import Identifier
from credentials.registry.models import IntakeRow
from tests.credentials.issuance.test_parsers import ANY_JSON, ANY_TEXT, DESCRIPTION
from tests.credentials.rows import driving_row
from tests.fakes import FakeClock
from tests.wallet_api.running import jwt, new_key
from wallet_api.oauth import OAuthError
from wallet_api.oauth.dpop import DpopInvalid, DpopProofs
from wallet_api.oauth.server_nonces import ServerNonces
from wallet_api.routes.oauth import _form

VECTORS = Path(__file__).parents[1] / "vectors"
FORM = "application/x-www-form-urlencoded"
URL = "https://wallet.example/city/oauth/token"
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
KEY = new_key()
modest = settings(max_examples=100, deadline=None)


class Burnt:
    """One-time values in memory."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()

    async def burn(self, _session: Any, purpose: str, value: str, _expires_at: datetime) -> bool:
        first = (purpose, value) not in self.seen
        self.seen.add((purpose, value))
        return first


def checked(headers: list[str], *, url: str = URL, method: str = "POST", **more: Any) -> str:
    session: Any = None
    one_time: Any = more.pop("one_time", Burnt())
    now = more.pop("now", NOW)
    clock = FakeClock(now)
    proofs = DpopProofs(one_time, clock, ServerNonces(bytes(32), "dpop_nonce", clock))
    return asyncio.run(proofs.key(session, headers, method=method, url=url, **more))


@modest
@given(st.binary(max_size=200) | st.text("&=%+ aF0", max_size=60).map(str.encode), ANY_TEXT | st.just(FORM))
def test_any_bytes_are_a_form_or_an_invalid_request(body: bytes, content_type: str) -> None:
    with suppress(OAuthError):
        assert all(_form(content_type, body).values())


@modest
@given(st.lists(ANY_TEXT, max_size=3))
def test_any_dpop_headers_are_refused(headers: list[str]) -> None:
    with pytest.raises(DpopInvalid):
        checked(headers)


@modest
@given(
    st.dictionaries(st.sampled_from(["jwk", "typ", "kid", "crit", "x"]), ANY_JSON, max_size=2),
    st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nonce"]), ANY_JSON, max_size=3),
)
def test_any_header_and_claims_of_a_dpop_proof_are_taken_or_refused(header: dict[str, Any], claims: Any) -> None:
    good = {"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.export_public(as_dict=True)}
    said = {"jti": "1", "htm": "POST", "htu": URL, "iat": NOW.timestamp()}
    try:
        checked([jwt(KEY, {**good, **header}, {**said, **claims})])
    except DpopInvalid as error:
        detail = error.detail
    else:
        return
    assert set(detail) <= DESCRIPTION


@modest
@given(ANY_TEXT | st.from_regex(r"https?://[a-z@:\[\].%0-9/?#\\-]{0,40}", fullmatch=True))
def test_only_our_own_url_is_our_own_url(htu: str) -> None:
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": KEY.export_public(as_dict=True)}
    claims = {"jti": "1", "htm": "POST", "htu": htu, "iat": NOW.timestamp()}
    with pytest.raises(DpopInvalid):
        checked([jwt(KEY, header, claims)])


def test_the_standard_s_own_proofs_hold_once() -> None:
    vectors = json.loads((VECTORS / "dpop_rfc9449.json").read_text())
    one_time = Burnt()
    for name in ("token_request", "resource_request"):
        vector = vectors[name]
        request: dict[str, Any] = {
            "url": vector["url"],
            "method": vector["method"],
            "now": datetime.fromtimestamp(vector["at_time"], UTC),
            "one_time": one_time,
            "access_token": vectors["access_token"] if name == "resource_request" else None,
        }
        assert checked([vector["proof"]], **request) == vectors["jkt"]
        with pytest.raises(DpopInvalid):
            checked([vector["proof"]], **request)


def parsed(line: bytes) -> None:
    try:
        assert isinstance(row_from_line(line), IntakeRow)
    except RowError as error:
        refusal = error
    else:
        return
    assert 0 < len(refusal.code) <= 64
    assert len(refusal.field) <= 128  # the column's width


@modest
@given(st.binary(max_size=300))
def test_any_bytes_are_an_intake_row_or_refused(line: bytes) -> None:
    parsed(line)


@modest
@given(ANY_JSON)
def test_any_json_is_an_intake_row_or_refused(value: object) -> None:
    parsed(json.dumps(value).encode())


@modest
@given(
    st.dictionaries(st.sampled_from([*driving_row(), "certificate_identifier", "reason", "x"]), ANY_JSON, max_size=3)
)
def test_any_members_of_an_intake_row_are_taken_or_refused(changes: dict[str, Any]) -> None:
    parsed(json.dumps({**driving_row(), **changes}).encode())


@modest
@given(
    st.dictionaries(
        st.sampled_from(["certificate_holder_name", "certificate_holder_code", "certificate_holder_type", "mobile"]),
        ANY_JSON | st.text("0123456789X３٣", max_size=20) | st.sampled_from(["111", "001", "414", "099"]),
        max_size=4,
    )
)
def test_any_members_of_a_holder_are_taken_or_refused(changes: dict[str, Any]) -> None:
    row = driving_row()
    row["certificate_holders"] = [{**row["certificate_holders"][0], **changes}]
    parsed(json.dumps(row).encode())


@modest
@given(ANY_TEXT | st.from_regex(r"1\.2\.156\.3005\.2(\.[0-9A-Z]{1,40}){5}", fullmatch=True))
def test_any_text_is_an_identifier_or_malformed(text: str) -> None:
    with suppress(IdentifierError):
        identifier = Identifier.from_text(text)
        assert str(identifier) == text
        assert identifier.check_holds in (True, False)


@pytest.mark.parametrize(
    "tail",
    [
        "11100000000013338W009.11330105002500287C.2025052201.002.0",
        "11100000MB03271699022.340100.000000016.001.9",
        "11100000000013127D001.11310000000000000X.2026000000000001.001.T",
        "11100000MB0341032Y002.11310105000000000A.20261123ABCDEF0000000001.001.K",
        "11100000MB0341032Y002.11310105000000000A.20261123ABCDEF0000000001.002.I",
    ],
)
def test_a_right_check_character_holds_and_no_other_does(tail: str) -> None:
    text = f"1.2.156.3005.2.{tail}"
    identifier = Identifier.from_text(text)
    assert identifier.check_holds
    assert str(identifier) == text
    for wrong in set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") - {text[-1]}:
        assert not Identifier.from_text(text[:-1] + wrong).check_holds


@modest
@given(st.from_regex(r"[0-9A-Z]{1,40}", fullmatch=True), st.integers(0, 999), st.data())
def test_an_issued_identifier_reads_back_and_one_wrong_character_is_noticed(
    serial: str, version: int, data: st.DataObject
) -> None:
    identifier = Identifier.issue("11100000MB0341032Y002", "11310105000000000A", serial, version)
    assert Identifier.from_text(str(identifier)) == identifier
    at = data.draw(st.integers(0, len(serial) - 1))
    other = data.draw(st.sampled_from(sorted(set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") - {serial[at]})))
    damaged = replace(identifier, serial=serial[:at] + other + serial[at + 1 :])
    assert not Identifier.from_text(str(damaged)).check_holds
