"""The check of an SD-JWT VC, with or without key binding, against one trust store at one reading of the clock."""

from datetime import datetime
from hashlib import sha256
from types import MappingProxyType

from . import _base64url, _sd_jwt, _sd_jwt_vc, _x509
from ._fault import told_as
from ._freshness import expect_valid_status, fresh_trust_list
from ._jws import Jws
from ._sd_jwt import MAX_JWT_CHARS, SdJwt
from ._sd_jwt_vc import Claims, HolderKey, KeyBindingClaims
from ._seen_chains import SeenChain, SeenChains
from ._trust_list import LicenceType, ListedKey, TrustList, instant
from .errors import NotValid
from .models import KeyBinding, ValidCredential
from .policy import Expected, Policy
from .trust import Trust

_ISSUER_CODES = {
    "form": "credential_malformed",
    "typ": "typ_wrong",
    "alg": "alg_not_allowed",
    "crit": "crit_not_supported",
    "x5c": "x5c_missing",
    "chain": "chain_invalid",
    "signature": "credential_signature_invalid",
}
_HOLDER_CODES = {"form": "kb_malformed", "signature": "kb_signature_invalid"}


def check(
    trust: Trust, chains: SeenChains, policy: Policy, now: datetime, text: str, expected: Expected | None
) -> ValidCredential:
    """Verify a credential (RFC 9901 §7.1, §7.3; draft-ietf-oauth-sd-jwt-vc-19 §2.4, §2.5, §3.5).

    1. Form and size; a key binding exactly when one is expected.
    2. The header: typ, alg, no crit.
    3. A trust list that is present and new enough.
    4. The key: `x5c` chains to a pinned anchor as a credential key, and the trust list lists its leaf.
    5. The issuer's signature.
    6. The disclosures.
    7. The ruling claims' forms; a status reference where the policy wants one.
    8. The type: listed, the key may sign it, and it is the one asked for.
    9. The time.
    10. The key binding.
    11. The status.
    """
    with told_as(NotValid, _ISSUER_CODES):
        sd_jwt = SdJwt.from_text(text)  # (1)
        _expect_key_binding(sd_jwt, expected)
        jws = Jws.from_compact(sd_jwt.issuer_jwt, MAX_JWT_CHARS)
        jws.expect_header("dc+sd-jwt")  # (2)
        trust_list = fresh_trust_list(trust, policy, now)  # (3)
        key = _issuer_key(jws, trust, chains, trust_list, now)  # (4)
        payload = jws.verify(key.path.key)  # (5)
    processed = _sd_jwt.process(payload, sd_jwt.disclosures, _sd_jwt_vc.NEVER_DISCLOSABLE)  # (6)
    claims = _sd_jwt_vc.read(processed)  # (7)
    if claims.status is None and policy.require_status:
        raise NotValid("claim_missing", "status is missing")
    licence_type = _licence_type(claims.vct, key, trust_list, expected)  # (8)
    _expect_time(claims, policy, now)  # (9)
    key_binding = _key_binding(sd_jwt, claims.holder, policy, now, expected) if expected else None  # (10)
    status_age = None
    if claims.status is not None:
        status_age = expect_valid_status(trust, policy, now, *claims.status, licence_type.code)  # (11)
    return ValidCredential(
        vct=claims.vct,
        type_code=licence_type.code,
        type_name=licence_type.name,
        claims=MappingProxyType(processed),
        cnf_jwk=MappingProxyType(dict(claims.holder.jwk)) if claims.holder else None,
        state="valid" if status_age is not None else None,
        authority=key.authority,
        issuer_kid=key.kid.hex(),
        expires_at=instant(int(claims.exp)),
        trust_age=now - instant(trust_list.iat),
        status_age=status_age,
        checked_at=now,
        key_binding=key_binding,
    )


def _expect_key_binding(sd_jwt: SdJwt, expected: Expected | None) -> None:
    if expected is None and sd_jwt.kb_jwt is not None:
        raise NotValid("key_binding_unexpected", "a credential as issued ends in ~")
    if expected is not None and sd_jwt.kb_jwt is None:
        raise NotValid("key_binding_missing", "the presentation has no KB-JWT")


def _issuer_key(jws: Jws, trust: Trust, chains: SeenChains, trust_list: TrustList, now: datetime) -> ListedKey:
    seen = chains.get(jws.header_text)
    if seen is None:
        chain = jws.x5c()
        seen = SeenChain(chain[0], _x509.validate(chain, trust.anchors, "credential"))
        chains.remember(jws.header_text, seen)
    if not seen.path.holds_at(now):
        raise NotValid("chain_invalid", "a certificate is outside its validity")
    key = trust_list.key_by_leaf("credential", seen.leaf_der)
    if key is None:
        raise NotValid("issuer_unknown", "the trust list has no such credential key")
    return key


def _licence_type(vct: str, key: ListedKey, trust_list: TrustList, expected: Expected | None) -> LicenceType:
    licence_type = trust_list.type_by_vct(vct)
    if licence_type is None:
        raise NotValid("vct_unknown", "the trust list has no type of this vct")
    if not key.may_sign(licence_type.code):
        raise NotValid("issuer_unknown", "the key may not sign licences of this type")
    if expected is not None and expected.vct is not None and expected.vct != vct:
        raise NotValid("vct_not_expected", "of another type than asked for")
    return licence_type


def _expect_time(claims: Claims, policy: Policy, now: datetime) -> None:
    now_s = int(now.timestamp())
    if claims.nbf is not None and now_s < claims.nbf - policy.skew_s:
        raise NotValid("credential_not_yet_valid", f"valid in {claims.nbf - now_s:.0f} s")
    if now_s >= claims.exp + policy.skew_s:
        raise NotValid("credential_expired", f"over since {now_s - claims.exp:.0f} s")


def _key_binding(
    sd_jwt: SdJwt, holder: HolderKey | None, policy: Policy, now: datetime, expected: Expected
) -> KeyBinding:
    """RFC 9901 §7.3: typ, alg, the signature with the key of `cnf`, time, aud, nonce, sd_hash."""
    if holder is None:
        raise NotValid("claim_missing", "cnf is missing, so nobody can prove to be the holder")
    with told_as(NotValid, _HOLDER_CODES):
        jws = Jws.from_compact(sd_jwt.kb_jwt or "", MAX_JWT_CHARS)
        jws.expect_header("kb+jwt")
        payload = jws.verify(holder.key)
    binding = KeyBindingClaims.from_claims(payload)
    _expect_binding_time(binding, policy, int(now.timestamp()))
    if binding.aud != expected.audience:
        raise NotValid("kb_audience_wrong", "aud is not this verifier")
    if binding.nonce != expected.nonce:
        raise NotValid("kb_nonce_wrong", "nonce is not that of the request")
    if binding.sd_hash != _base64url.encode(sha256(sd_jwt.presented.encode()).digest()):
        raise NotValid("kb_sd_hash_wrong", "sd_hash is not over what is presented")
    return KeyBinding(binding.aud, binding.nonce, instant(int(binding.iat)))


def _expect_binding_time(binding: KeyBindingClaims, policy: Policy, now_s: int) -> None:
    if not now_s - policy.kb_max_age_s <= binding.iat <= now_s + policy.kb_max_ahead_s:
        raise NotValid("kb_iat_outside_window", f"made {now_s - binding.iat:.0f} s ago")
    if binding.nbf is not None and now_s < binding.nbf - policy.skew_s:
        raise NotValid("kb_expired", "nbf is not reached")
    if binding.exp is not None and now_s >= binding.exp + policy.skew_s:
        raise NotValid("kb_expired", "exp is over")
