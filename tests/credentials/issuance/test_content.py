"""What a credential says, for every type that ships: by its type metadata, and as another implementation reads it."""

import base64
import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier

from credentials.catalogue import Catalogue, LicenceType, type_metadata
from credentials.issuance.content import licence_claims, prepare
from credentials.issuance.formats.sd_jwt_vc import sign_credential
from credentials.keys.formats.jwk import PublicJwk
from credentials.registry import CertState, HolderEntry, Licence
from credentials.status import StatusReference
from tests.credentials.keys.signing import self_signed
from wallet_api.sample import City

ISSUER = "https://wallet.example"
SIGNER = self_signed()
HOLDER = PublicJwk.from_key(ec.generate_private_key(ec.SECP256R1()).public_key())
TYPES = Catalogue.default().types()
VISIBLE = {"iss", "vct", "iat", "nbf", "exp", "cnf", "status", "_sd", "_sd_alg"}


def licence_of(kind: LicenceType) -> Licence:
    row = City(Catalogue.default(), seed=3, today=date(2026, 11, 23)).row(kind, 1)
    return Licence(
        id="1" * 26,
        identifier="1.2.156.3005.2.X",
        type_code=kind.code,
        type_version=kind.version,
        version=1,
        number=row["certificate_number"],
        authority_code=kind.issuing_authorities[0].code,
        authority_name=kind.issuing_authorities[0].name.zh,
        area_code=None,
        holder_ids=("h",),
        holders=tuple(
            HolderEntry(one["certificate_holder_name"], one["certificate_holder_type"], one["certificate_holder_code"])
            for one in row["certificate_holders"]
        ),
        issued_on=date(2024, 3, 1),
        valid_from=date(2024, 3, 1),
        valid_until=date(2030, 2, 28),
        state=CertState.VALID,
        predecessor_id=None,
        source_system="s",
        source_record_id="r",
        source_version=1,
        items=row["business_information"],
    )


def issued(kind: LicenceType, licence: Licence) -> str:
    place = StatusReference(f"{ISSUER}/s/1", 7)
    return sign_credential(prepare(licence, kind, HOLDER, place, ISSUER, 1_000, 2_000), SIGNER)


def payload_of(credential: str) -> dict[str, Any]:
    part = credential.split(".")[1]
    payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return payload


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.code)
def test_a_credential_says_what_its_licence_says_in_the_way_its_type_metadata_say(kind: LicenceType) -> None:
    licence = licence_of(kind)
    credential, claims = issued(kind, licence), licence_claims(licence)
    public = x509.load_der_x509_certificate(SIGNER.x5c_der[0]).public_key()
    reader = SDJWTVerifier(credential, lambda *_: JWK.from_pyca(public))
    read = reader.get_verified_payload()
    assert {name: read[name] for name in claims} == json.loads(json.dumps(claims))
    payload = payload_of(credential)
    described = {tuple(claim["path"]): claim for claim in type_metadata(kind, ISSUER)["claims"]}
    for name in claims:
        assert (name in payload) == (described[(name,)]["sd"] == "never")
    assert payload.keys() - VISIBLE == {name for name in claims if described[(name,)]["sd"] == "never"}
    by_element = {path[0] for path in described if path[1:] == (None,)}
    disclosures = [json.loads(base64.urlsafe_b64decode(text + "==")) for text in credential.split("~")[1:-1]]
    hidden = {part[1] for part in disclosures if len(part) == 3 and {"..."} in [set(e) for e in _objects(part[2])]}
    assert hidden == by_element & {name for name, value in claims.items() if value}


def _objects(value: object) -> list[dict[str, Any]]:
    return [element for element in value if isinstance(element, dict)] if isinstance(value, list) else []


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.code)
def test_the_number_of_digests_is_the_type_s_whatever_a_licence_has(kind: LicenceType) -> None:
    full = licence_of(kind)
    bare = replace(full, items={item.name: full.items[item.name] for item in kind.items if item.required})
    counts = {len(payload_of(issued(kind, licence))["_sd"]) for licence in (full, bare)}
    assert len(counts) == 1
