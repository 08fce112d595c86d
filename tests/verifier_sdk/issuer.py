"""A platform for tests: root, leaves, trust list, status lists, passes, proofs, credentials.

Written straight from the two FORMAT documents and the specifications, with general libraries, so that it shares
nothing with the reader. Every maker takes overrides: hostile input is valid input with one thing wrong.
"""

import base64
import json
import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai
NOW_S = int(NOW.timestamp())
HOST = "https://wallet.example"
STATUS_URI = f"{HOST}/s/1"
VCT = f"{HOST}/types/driving-licence"
DELETE: Any = object()  # as an override: leave the member out
_EKU = "2.25.190658200501632449883014538961567251728"
_ARCS = {"credential": 1, "status": 2, "pass": 3, "trust-list": 4, "issuer-metadata": 5, "check": 6}

PrivateKey = ec.EllipticCurvePrivateKey


def new_key(curve: ec.EllipticCurve | None = None) -> PrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def override(members: Mapping[Any, Any], changes: Mapping[Any, Any] | None) -> dict[Any, Any]:
    merged = {**members, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not DELETE}


def sign_es256(key: PrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def jws(key: PrivateKey, header: Mapping[str, object], payload: Mapping[str, object] | bytes) -> str:
    body = payload if isinstance(payload, bytes) else to_json(payload)
    signing_input = f"{b64u(to_json(header))}.{b64u(body)}"
    return f"{signing_input}.{b64u(sign_es256(key, signing_input.encode()))}"


@dataclass
class Certified:
    """A key with its certificate chain (leaf first, anchor left out)."""

    key: PrivateKey
    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def kid(self) -> bytes:
        return sha256(self.der).digest()[:8]

    @property
    def x5c(self) -> list[str]:
        return [
            base64.b64encode(each.public_bytes(Encoding.DER)).decode()
            for each in (self.certificate, *self.intermediates)
        ]


def _usage(*names: str) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in names for name in every})


def purpose_oid(purpose: str) -> x509.ObjectIdentifier:
    return x509.ObjectIdentifier(f"{_EKU}.{_ARCS[purpose]}")


def certify(
    name: str,
    *,
    issuer: Certified | None = None,
    issuer_name: str | None = None,
    key: PrivateKey | None = None,
    ca: bool = False,
    path_length: int | None = None,
    usage: Sequence[str] | None = None,
    usage_critical: bool = True,
    purposes: Sequence[str] = (),
    purposes_critical: bool = True,
    constraints: bool = True,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    not_before: datetime = NOW - timedelta(days=365),
    not_after: datetime = NOW + timedelta(days=365),
    digest: hashes.HashAlgorithm | None = None,
    intermediates: tuple[x509.Certificate, ...] = (),
    signing_key: PrivateKey | None = None,
) -> Certified:
    """A certificate; self-signed without an issuer. `signing_key` signs in the issuer's stead."""
    key = key or new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    parent = issuer.certificate.subject if issuer else subject
    if issuer_name is not None:
        parent = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if constraints:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    names = usage if usage is not None else (["key_cert_sign"] if ca else ["digital_signature"])
    if names:
        builder = builder.add_extension(_usage(*names), critical=usage_critical)
    if purposes:
        oids = [purpose_oid(purpose) for purpose in purposes]
        builder = builder.add_extension(x509.ExtendedKeyUsage(oids), critical=purposes_critical)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    signer = signing_key or (issuer.key if issuer else key)
    return Certified(key, builder.sign(signer, digest or hashes.SHA256()), intermediates)


def tamper(text: str, part: int = 1) -> str:
    """A compact JWS with another payload under the old signature."""
    parts = text.split(".")
    payload = json.loads(base64.urlsafe_b64decode(parts[part] + "=="))
    parts[part] = b64u(to_json({**payload, "tampered": True}))
    return ".".join(parts)


def status_lst(statuses: Mapping[int, int] | None = None, bits: int = 2, size: int = 1024) -> dict[str, object]:
    entries = bytearray(size * bits // 8)
    for idx, status in (statuses or {}).items():
        entries[idx * bits // 8] |= status << (idx * bits % 8)
    return {"bits": bits, "lst": b64u(zlib.compress(bytes(entries), 9))}


Disclosable = tuple[str, object]  # name and value


@dataclass
class Issuer:
    """The platform's keys and what it makes with them."""

    root: Certified = field(default_factory=lambda: certify("Liangzheng Root", ca=True))
    holder: PrivateKey = field(default_factory=new_key)

    def __post_init__(self) -> None:
        self.trust_list_key = self.leaf("trust-list")
        self.status_key = self.leaf("status")
        self.pass_key = self.leaf("pass")
        self.credential_key = self.leaf("credential", name="上海市公安局")

    def leaf(self, purpose: str, **changes: Any) -> Certified:
        name = changes.pop("name", f"Liangzheng {purpose}")
        return certify(name, **{"issuer": self.root, "purposes": [purpose], **changes})

    # Trust list

    def listed(self, purpose: str, certified: Certified, **changes: Any) -> dict[str, object]:
        authority = {"code": "11310000002420802K", "name": "上海市公安局"}
        entry = {
            "kid": b64u(certified.kid),
            "purpose": purpose,
            "authority": authority if purpose == "credential" else None,
            "licence_types": ["*"],
            "x5c": certified.x5c,
        }
        return override(entry, changes)

    def trust_list_claims(self, **changes: Any) -> dict[str, object]:
        claims = {
            "iss": HOST,
            "iat": NOW_S,
            "exp": NOW_S + 14 * 86_400,
            "sequence": 5,
            "status_list_aggregation_uri": f"{HOST}/api/v1/status-lists",
            "keys": [
                self.listed("pass", self.pass_key),
                self.listed("status", self.status_key),
                self.listed("credential", self.credential_key),
            ],
            "types": [
                {
                    "code": "driving-licence",
                    "version": 1,
                    "vct": VCT,
                    "name": {"zh-CN": "机动车驾驶证", "en": "Driving licence"},
                    "items": [
                        {
                            "name": "vehicle_class",
                            "face_key": 2,
                            "label": {"zh-CN": "准驾车型", "en": "Vehicle class"},
                        },
                        {
                            "name": "birth_date",
                            "face_key": None,
                            "label": {"zh-CN": "出生日期", "en": "Date of birth"},
                        },
                    ],
                }
            ],
            "scenes": [
                self.scene(),
                self.scene(id="hotel", licence_types=["marriage-certificate"], items={"marriage-certificate": []}),
                self.scene(id="bank", offline=False),
            ],
        }
        return override(claims, changes)

    def scene(self, **changes: Any) -> dict[str, object]:
        entry = {
            "id": "road-traffic",
            "version": 3,
            "name": {"zh-CN": "道路交通执法", "en": "Road traffic"},
            "licence_types": ["driving-licence"],
            "items": {"driving-licence": ["holder_name", "vehicle_class", "portrait"]},
            "offline": True,
            "legal_basis": "道路交通安全法",
        }
        return override(entry, changes)

    def trust_list(
        self, *, signer: Certified | None = None, header: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        signer = signer or self.trust_list_key
        base = {"alg": "ES256", "typ": "lz-trust-list+jwt", "x5c": signer.x5c}
        return jws(signer.key, override(base, header), self.trust_list_claims(**changes))

    # Status list

    def status_list(
        self,
        statuses: Mapping[int, int] | None = None,
        *,
        bits: int = 2,
        signer: Certified | None = None,
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        signer = signer or self.status_key
        base = {"alg": "ES256", "typ": "statuslist+jwt", "x5c": signer.x5c}
        claims = {
            "sub": STATUS_URI,
            "iat": NOW_S - 600,
            "exp": NOW_S + 2 * 86_400,
            "ttl": 3600,
            "status_list": status_lst(statuses, bits),
        }
        return jws(signer.key, override(base, header), override(claims, changes))

    def status_list_cwt(
        self,
        statuses: Mapping[int, int] | None = None,
        *,
        signer: Certified | None = None,
        header: Mapping[int, Any] | None = None,
        unprotected: Mapping[int, Any] | None = None,
        claims: Mapping[int, Any] | None = None,
    ) -> bytes:
        signer = signer or self.status_key
        protected = override({1: -7, 16: "application/statuslist+cwt", 33: signer.der}, header)
        listed = status_lst(statuses)
        lst = base64.urlsafe_b64decode(f"{listed['lst']}===")
        base = {2: STATUS_URI, 6: NOW_S - 600, 4: NOW_S + 2 * 86_400, 65534: 3600, 65533: {"bits": 2, "lst": lst}}
        return cbor2.dumps(self.sign1(signer.key, protected, b"", override(base, claims), unprotected=unprotected))

    # Pass and proof

    def sign1(
        self, key: PrivateKey, protected: object, context: bytes, payload: object, *, unprotected: object = None
    ) -> cbor2.CBORTag:
        protected_bytes = protected if isinstance(protected, bytes) else cbor2.dumps(protected)
        payload_bytes = payload if isinstance(payload, bytes) else cbor2.dumps(payload)
        to_be_signed = cbor2.dumps(["Signature1", protected_bytes, context, payload_bytes])
        signature = sign_es256(key, to_be_signed)
        return cbor2.CBORTag(18, [protected_bytes, unprotected or {}, payload_bytes, signature])

    def cnf(self, holder: PrivateKey | None = None) -> dict[int, object]:
        point = (holder or self.holder).public_key().public_numbers()
        return {1: {1: 2, -1: 1, -2: point.x.to_bytes(32, "big"), -3: bool(point.y & 1)}}

    def licence(self, **changes: Any) -> dict[int, object]:
        items = {0: "张三丰", 1: "310101199001011234", 2: "C1"}
        base = {"profile": 2, "version": 1, "valid_until": days(NOW) + 100, "items": items}
        keys = {"profile": 0, "version": 1, "valid_until": 2, "items": 3}
        return {keys[name]: value for name, value in override(base, changes).items()}

    def pass_claims(self, changes: Mapping[int, Any] | None = None, **licence: Any) -> dict[int, object]:
        claims = {
            4: NOW_S + 3600,
            5: NOW_S - 3600,
            8: self.cnf(),
            11: "driving-licence",
            65535: {"status_list": {"idx": 7, "uri": STATUS_URI}},
            -65537: self.licence(**licence),
        }
        return override(claims, changes)

    def show_pass(
        self,
        changes: Mapping[int, Any] | None = None,
        *,
        header: Mapping[int, Any] | None = None,
        signer: Certified | None = None,
        unprotected: object = None,
        payload: bytes | None = None,
        context: bytes = b"lz-pass-1",
        **licence: Any,
    ) -> cbor2.CBORTag:
        signer = signer or self.pass_key
        protected = override({1: -7, 4: signer.kid}, header)
        return self.sign1(
            signer.key, protected, context, payload or self.pass_claims(changes, **licence), unprotected=unprotected
        )

    def proof(
        self,
        show_pass: object = None,
        changes: Mapping[int, Any] | None = None,
        *,
        header: Mapping[int, Any] | None = None,
        holder: PrivateKey | None = None,
        unprotected: object = None,
        payload: bytes | None = None,
        context: bytes = b"lz-show-1",
    ) -> bytes:
        protected = override({1: -7, 13: show_pass or self.show_pass()}, header)
        claims = override({3: "lz-show", 6: NOW_S, 7: secrets.token_bytes(16)}, changes)
        signed = self.sign1(holder or self.holder, protected, context, payload or claims, unprotected=unprotected)
        return cbor2.dumps(signed)

    def live_code(self, proof: bytes | None = None, **changes: Any) -> str:
        return qr_text(proof if proof is not None else self.proof(**changes))

    # SD-JWT VC

    def credential(
        self,
        disclosable: Sequence[Disclosable] = (("name", "张三丰"), ("vehicle_class", "C1")),
        *,
        signer: Certified | None = None,
        header: Mapping[str, Any] | None = None,
        disclosures: Sequence[str] | None = None,
        digests: Callable[[list[str]], object] = lambda digests: digests,
        **changes: Any,
    ) -> str:
        """An SD-JWT VC; `disclosures` are sent in place of those made, `digests` changes the top `_sd`."""
        signer = signer or self.credential_key
        made = [disclosure(name, value) for name, value in disclosable]
        claims = {
            "iss": HOST,
            "vct": VCT,
            "iat": NOW_S - 86_400,
            "exp": NOW_S + 30 * 86_400,
            "cnf": {"jwk": jwk(self.holder)},
            "status": {"status_list": {"idx": 7, "uri": STATUS_URI}},
            "_sd_alg": "sha-256",
            "_sd": digests([digest(each) for each in made]),
        }
        base = {"alg": "ES256", "typ": "dc+sd-jwt", "x5c": signer.x5c}
        issuer_jwt = jws(signer.key, override(base, header), override(claims, changes))
        return "~".join([issuer_jwt, *(made if disclosures is None else disclosures), ""])

    def present(
        self,
        sd_jwt: str,
        *,
        header: Mapping[str, Any] | None = None,
        holder: PrivateKey | None = None,
        **changes: Any,
    ) -> str:
        claims = {
            "iat": NOW_S - 10,
            "aud": "x509_hash:verifier",
            "nonce": "n-0S6_WzA2Mj",
            "sd_hash": b64u(sha256(sd_jwt.encode()).digest()),
        }
        base = {"alg": "ES256", "typ": "kb+jwt"}
        return sd_jwt + jws(holder or self.holder, override(base, header), override(claims, changes))


def days(instant: datetime) -> int:
    return (instant + timedelta(hours=8)).date().toordinal() - datetime(1970, 1, 1, tzinfo=UTC).toordinal()


def qr_text(proof: bytes, prefix: str = f"{HOST}/v#1") -> str:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return prefix_base32(deflater.compress(proof) + deflater.flush(), prefix)


def prefix_base32(deflated: bytes, prefix: str = f"{HOST}/v#1") -> str:
    return prefix + base64.b32encode(deflated).decode().rstrip("=")


def jwk(key: PrivateKey) -> dict[str, str]:
    point = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": b64u(point.x.to_bytes(32, "big")),
        "y": b64u(point.y.to_bytes(32, "big")),
    }


def disclosure(*parts: object) -> str:
    """A disclosure of name and value, or of an array element's value, with a fresh salt."""
    return raw_disclosure([b64u(secrets.token_bytes(16)), *parts])


def raw_disclosure(value: object) -> str:
    return b64u(to_json(value))


def digest(disclosed: str) -> str:
    return b64u(sha256(disclosed.encode()).digest())
