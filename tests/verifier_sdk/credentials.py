"""SD-JWT VCs of every kind: those that hold, and each thing that can be wrong with one."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from tests.verifier_sdk.cases import VALID, Case
from tests.verifier_sdk.issuer import (
    DELETE,
    NOW,
    NOW_S,
    STATUS_URI,
    VCT,
    Certified,
    Issuer,
    b64u,
    certify,
    digest,
    disclosure,
    jwk,
    new_key,
    raw_disclosure,
    tamper,
)

AUDIENCE, NONCE = "x509_hash:verifier", "n-0S6_WzA2Mj"
DAY_S = 86_400


def credential_cases(issuer: Issuer) -> list[Case]:
    groups = (
        _valid,
        _form,
        _header,
        _chain,
        _disclosures,
        _names,
        _never,
        _claims,
        _types,
        _times,
        _status,
        _trust,
    )
    cases = [case for group in (*groups, _binding, _binding_claims) for case in group(issuer)]
    assert len({case.name for case in cases}) == len(cases)
    return cases


def presented(name: str, expect: str, text: str, **more: Any) -> Case:
    return Case(name, expect, text, **{"audience": AUDIENCE, "nonce": NONCE, **more})


def _valid(issuer: Issuer) -> Iterator[Case]:
    yield Case("a credential as issued", VALID, issuer.credential())
    yield Case("nothing disclosable", VALID, issuer.credential((), _sd=DELETE, _sd_alg=DELETE))
    yield Case("nothing disclosed", VALID, issuer.credential(disclosures=[]))
    yield Case("decoy digests", VALID, issuer.credential(digests=lambda made: [*made, digest("decoy")]))
    yield Case("an empty _sd", VALID, issuer.credential((), _sd=[]))
    street = disclosure("street", "人民大道200号")
    address = disclosure("address", {"_sd": [digest(street)], "city": "上海"})
    recursive = issuer.credential((), disclosures=[address, street], _sd=[digest(address)])
    yield Case("a disclosure inside a disclosure", VALID, recursive)
    first, second = disclosure("C1"), disclosure("D")
    classes = [{"...": digest(first)}, {"...": digest(second)}, "E"]
    yield Case(
        "an array element disclosed, another not",
        VALID,
        issuer.credential((), disclosures=[second], classes=classes),
    )
    yield Case("iat disclosed", VALID, issuer.credential([("iat", NOW_S)], iat=DELETE))
    yield Case("aka_vcts", VALID, issuer.credential(aka_vcts=["urn:other"]))
    yield Case("the last second", VALID, issuer.credential(exp=NOW_S - 29))
    yield Case(
        "a cnf with more than the key", VALID, issuer.credential(cnf={"jwk": {**jwk(issuer.holder), "use": "sig"}})
    )
    yield presented("a presentation", VALID, issuer.present(issuer.credential()))
    yield presented("of the type asked for", VALID, issuer.present(issuer.credential()), vct=VCT)
    middle = certify("Intermediate", issuer=issuer.root, ca=True, path_length=0)
    leaf = issuer.leaf("credential", issuer=middle, intermediates=(middle.certificate,))
    keys = [issuer.listed("credential", leaf), issuer.listed("status", issuer.status_key)]
    below = issuer.credential(signer=leaf)
    yield Case("a leaf below an intermediate", VALID, below, trust_list=issuer.trust_list(keys=keys))


def _form(issuer: Issuer) -> Iterator[Case]:
    good = issuer.credential()
    jwt, first, *rest = good.split("~")
    texts = {
        "no tilde": jwt,
        "only two parts": ".".join(jwt.split(".")[:2]) + "~",
        "four parts": jwt + ".AA~",
        "padding in a part": jwt.replace(".", "=.", 1) + "~",
        "an empty disclosure": "~".join([jwt, first, "", *rest]),
        "a JWT longer than 64 KiB": issuer.credential((), photo="A" * 70_000),
        "a presentation longer than 256 KiB": good + "A" * (256 << 10),
        "257 disclosures": "~".join([jwt, *[first] * 257, ""]),
        "a duplicate member in the header": _raw(issuer, header=b'{"alg":"ES256","alg":"ES256","typ":"dc+sd-jwt"}'),
        "an array as header": _raw(issuer, header=b"[]"),
        "a header that is not UTF-8": _raw(issuer, header=b'{"alg":"\xff"}'),
        "deep nesting": _raw(issuer, payload=b'{"a":' + b"[" * 33 + b"]" * 33 + b"}"),
        "NaN": _raw(issuer, payload=b'{"exp":NaN}'),
    }
    for name, text in texts.items():
        yield Case(name, "credential_malformed", text)


def _raw(issuer: Issuer, header: bytes | None = None, payload: bytes | None = None) -> str:
    parts = issuer.credential(()).rstrip("~").split(".")
    parts[0] = b64u(header) if header is not None else parts[0]
    parts[1] = b64u(payload) if payload is not None else parts[1]
    return ".".join(parts) + "~"


def _header(issuer: Issuer) -> Iterator[Case]:
    headers: dict[str, tuple[str, dict[str, Any]]] = {
        "typ missing": ("typ_wrong", {"typ": DELETE}),
        "the old typ vc+sd-jwt": ("typ_wrong", {"typ": "vc+sd-jwt"}),
        "typ as a media type": ("typ_wrong", {"typ": "application/dc+sd-jwt"}),
        "typ in capitals": ("typ_wrong", {"typ": "DC+SD-JWT"}),
        "typ of a key binding": ("typ_wrong", {"typ": "kb+jwt"}),
        "alg none": ("alg_not_allowed", {"alg": "none"}),
        "alg HS256": ("alg_not_allowed", {"alg": "HS256"}),
        "alg ES384": ("alg_not_allowed", {"alg": "ES384"}),
        "alg missing": ("alg_not_allowed", {"alg": DELETE}),
        "alg as an array": ("alg_not_allowed", {"alg": ["ES256"]}),
        "an unknown crit": ("crit_not_supported", {"crit": ["exp"]}),
        "an empty crit": ("crit_not_supported", {"crit": []}),
        "x5c missing": ("x5c_missing", {"x5c": DELETE}),
        "x5c empty": ("x5c_missing", {"x5c": []}),
        "x5c as a text": ("x5c_missing", {"x5c": issuer.credential_key.x5c[0]}),
        "x5c of numbers": ("x5c_missing", {"x5c": [1]}),
        "x5c as base64url": ("x5c_missing", {"x5c": [b64u(b"\xff\xff\xff")]}),
        "x5c of five": ("x5c_missing", {"x5c": issuer.credential_key.x5c * 5}),
        "x5c missing but jwk there": ("x5c_missing", {"x5c": DELETE, "jwk": jwk(issuer.credential_key.key)}),
    }
    for name, (code, header) in headers.items():
        yield Case(name, code, issuer.credential(header=header))


def _chain(issuer: Issuer) -> Iterator[Case]:
    def signed_by(name: str, code: str, leaf: Certified, *, listed: bool = True, **entry: Any) -> Case:
        keys = [issuer.listed("status", issuer.status_key)]
        if listed:
            keys.append(issuer.listed("credential", leaf, **entry))
        return Case(name, code, issuer.credential(signer=leaf), trust_list=issuer.trust_list(keys=keys))

    root = certify("Liangzheng Root", ca=True)
    yield signed_by("a root of the same name", "chain_invalid", issuer.leaf("credential", issuer=root))
    yield signed_by("a self-signed leaf", "chain_invalid", certify("me", purposes=["credential"]))
    yield signed_by("a leaf for passes", "chain_invalid", issuer.leaf("pass"))
    over = issuer.leaf("credential", not_after=NOW - timedelta(seconds=1))
    yield signed_by("a leaf that has run out", "chain_invalid", over)
    yield signed_by("a leaf that is not listed", "issuer_unknown", issuer.leaf("credential"), listed=False)
    for_marriages = signed_by(
        "a leaf listed for another type", "issuer_unknown", issuer.leaf("credential"), licence_types=["marriage"]
    )
    yield for_marriages
    listed_as_pass = issuer.listed("pass", issuer.credential_key)
    yield Case(
        "a leaf listed for another purpose", "issuer_unknown", issuer.credential(),
        trust_list=issuer.trust_list(keys=[listed_as_pass, issuer.listed("status", issuer.status_key)]),
    )  # fmt: skip
    with_anchor = {"x5c": [*issuer.credential_key.x5c, *issuer.root.x5c]}
    yield Case("the anchor in the chain", "chain_invalid", issuer.credential(header=with_anchor))
    yield Case("not certificates", "chain_invalid", issuer.credential(header={"x5c": ["AAAA"]}))
    forged = issuer.credential(signer=issuer.leaf("credential"), header={"x5c": issuer.credential_key.x5c})
    yield Case("a stranger's signature", "credential_signature_invalid", forged)
    yield Case("a claim added after signing", "credential_signature_invalid", tamper(issuer.credential(())[:-1]) + "~")
    short = issuer.credential(()).rpartition(".")[0] + "." + b64u(b"\x01" * 63) + "~"
    yield Case("a signature of 63 bytes", "credential_signature_invalid", short)


def _disclosures(issuer: Issuer) -> Iterator[Case]:
    def disclosed(name: str, code: str, made: str, **more: Any) -> Case:
        return Case(name, code, issuer.credential((), disclosures=[made], _sd=[digest(made)], **more))

    salt = b64u(b"1" * 16)
    yield Case("a disclosure with a lone surrogate", "disclosure_malformed", issuer.credential(()) + "\ud800~")
    malformed = {
        "a disclosure that is not base64url": "%%%",
        "a disclosure that is not JSON": b64u(b"name"),
        "a disclosure that is an object": raw_disclosure({"a": 1}),
        "a disclosure of one": raw_disclosure([salt]),
        "a disclosure of four": raw_disclosure([salt, "name", 1, 2]),
        "a disclosure of two for a claim": raw_disclosure([salt, "name"]),
        "a salt that is a number": raw_disclosure([1, "name", "张三丰"]),
        "a name that is a number": raw_disclosure([salt, 1, "张三丰"]),
        "a disclosure with a duplicate member": b64u(f'["{salt}","name",{{"a":1,"a":2}}]'.encode()),
        "a disclosure with NaN": b64u(f'["{salt}","name",NaN]'.encode()),
    }
    for name, made in malformed.items():
        yield disclosed(name, "disclosure_malformed", made)
    element = disclosure("name", "C1")
    in_array = issuer.credential((), disclosures=[element], classes=[{"...": digest(element)}])
    yield Case("a disclosure of three for an array element", "disclosure_malformed", in_array)

    stray = disclosure("name", "李四")
    unsigned = issuer.credential(()) + stray + "~"
    yield Case("a disclosure the issuer did not make", "disclosure_unreferenced", unsigned)
    hidden = disclosure("name", "李四")
    inner = disclosure("inner", {"_sd": [digest(hidden)]})
    orphan = issuer.credential((), disclosures=[hidden], _sd=[digest(inner)])
    yield Case("a disclosure whose parent is not disclosed", "disclosure_unreferenced", orphan)
    spaced = b64u(b'["c2FsdHNhbHRzYWx0c2FsdA", "name", 1]')
    other = b64u(b'["c2FsdHNhbHRzYWx0c2FsdA","name",1]')
    recoded = issuer.credential((), disclosures=[other], _sd=[digest(spaced)])
    yield Case("a disclosure written anew", "disclosure_unreferenced", recoded)

    made = disclosure("name", "张三丰")
    yield Case(
        "a disclosure sent twice", "digest_repeated",
        issuer.credential((), disclosures=[made, made], _sd=[digest(made)]),
    )  # fmt: skip
    twice: dict[str, dict[str, Any]] = {
        "a digest twice in _sd": {"_sd": [digest(made)] * 2},
        "a digest in _sd and in an array": {"_sd": [digest(made)], "a": [{"...": digest(made)}]},
        "a digest on two levels": {"_sd": [digest(made)], "a": {"_sd": [digest(made)]}},
        "a decoy twice": {"_sd": [digest(made), digest("x"), digest("x")]},
    }
    for name, changes in twice.items():
        yield Case(name, "digest_repeated", issuer.credential((), disclosures=[made], **changes))
    yield Case("another hash", "sd_alg_not_allowed", issuer.credential(_sd_alg="sha-512"))
    yield Case("a hash in capitals", "sd_alg_not_allowed", issuer.credential(_sd_alg="SHA-256"))
    yield Case("a hash that is null", "sd_alg_not_allowed", issuer.credential(_sd_alg=None))
    for label, digests in {"a text": "abc", "numbers": [1], "null": None, "an object": {}}.items():
        yield Case(f"_sd that is {label}", "claim_malformed", issuer.credential((), _sd=digests))
    yield Case("a placeholder that is a number", "claim_malformed", issuer.credential((), a=[{"...": 1}]))


def _names(issuer: Issuer) -> Iterator[Case]:
    for reserved in ("_sd", "...", "_sd_alg"):
        yield Case(f"a disclosed claim named {reserved}", "claim_name_forbidden", issuer.credential([(reserved, "x")]))
    yield Case("a claim named ...", "claim_name_forbidden", issuer.credential(**{"...": "x"}))
    yield Case("_sd_alg on a lower level", "claim_name_forbidden", issuer.credential(a={"_sd_alg": "sha-256"}))
    mixed = issuer.credential(a=[{"...": digest("x"), "b": 1}])
    yield Case("a placeholder with a second member", "claim_name_forbidden", mixed)
    yield Case("a disclosure over a visible claim", "claim_repeated", issuer.credential([("iat", 1)]))
    yield Case("two disclosures of one name", "claim_repeated", issuer.credential([("name", "张三"), ("name", "李四")]))
    nest: object = "deep"
    disclosures = []
    for level in range(40):
        made = disclosure("level", {"n": level, "inner": nest})
        disclosures.append(made)
        nest = {"_sd": [digest(made)]}
    deep = issuer.credential((), disclosures=disclosures, _sd=DELETE, a=nest)
    yield Case("forty disclosures in each other", "claim_malformed", deep)


def _never(issuer: Issuer) -> Iterator[Case]:
    values: dict[str, object] = {
        "iss": "https://x.example", "nbf": NOW_S, "exp": NOW_S + 1000, "cnf": {"jwk": jwk(issuer.holder)},
        "vct": VCT, "vct#integrity": "sha256-x", "aka_vcts": ["x"],
        "status": {"status_list": {"idx": 7, "uri": STATUS_URI}},
    }  # fmt: skip
    for name, value in values.items():
        hidden = issuer.credential([(name, value)], **{name: DELETE})
        yield Case(f"{name} disclosed", "claim_never_disclosable", hidden)
    idx = disclosure("idx", 7)
    status = {"status_list": {"uri": STATUS_URI, "_sd": [digest(idx)]}}
    below = issuer.credential((), disclosures=[idx], status=status)
    yield Case("the status index disclosed", "claim_never_disclosable", below)
    cnf = {"jwk": jwk(issuer.holder), "a": [{"...": digest("x")}]}
    yield Case("a placeholder inside cnf", "claim_never_disclosable", issuer.credential(cnf=cnf))


def _claims(issuer: Issuer) -> Iterator[Case]:
    for name in ("vct", "exp", "status"):
        yield Case(f"{name} missing", "claim_missing", issuer.credential(**{name: DELETE}))
    no_key = issuer.present(issuer.credential(cnf=DELETE))
    yield presented("cnf missing in a presentation", "claim_missing", no_key)
    key = jwk(issuer.holder)
    reference = {"idx": 7, "uri": STATUS_URI}
    malformed: dict[str, dict[str, Any]] = {
        "vct is a number": {"vct": 1},
        "vct is empty": {"vct": ""},
        "iss is an object": {"iss": {}},
        "sub is a number": {"sub": 1},
        "vct#integrity is a number": {"vct#integrity": 1},
        "aka_vcts is empty": {"aka_vcts": []},
        "aka_vcts is a text": {"aka_vcts": "x"},
        "aka_vcts repeats vct": {"aka_vcts": [VCT]},
        "exp is a text": {"exp": str(NOW_S + 1000)},
        "exp is true": {"exp": True},
        "exp is null": {"exp": None},
        "exp is beyond the calendar": {"exp": 1 << 62},
        "nbf is negative": {"nbf": -1},
        "iat is a text": {"iat": "yesterday"},
        "cnf is a text": {"cnf": "x"},
        "cnf names a kid": {"cnf": {"kid": "x"}},
        "cnf with an RSA key": {"cnf": {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}},
        "cnf on another curve": {"cnf": {"jwk": {**key, "crv": "P-384"}}},
        "cnf with a private key": {"cnf": {"jwk": {**key, "d": "AQAB"}}},
        "cnf without y": {"cnf": {"jwk": {**key, "y": None}}},
        "cnf with a padded coordinate": {"cnf": {"jwk": {**key, "x": key["x"] + "="}}},
        "cnf off the curve": {"cnf": {"jwk": {**key, "y": key["x"]}}},
        "status is a text": {"status": "valid"},
        "status of another kind": {"status": {"identifier_list": reference}},
        "status index true": {"status": {"status_list": {**reference, "idx": True}}},
        "status index below zero": {"status": {"status_list": {**reference, "idx": -1}}},
        "status index a float": {"status": {"status_list": {**reference, "idx": 7.0}}},
        "status without uri": {"status": {"status_list": {"idx": 7}}},
    }
    for name, changes in malformed.items():
        yield Case(name, "claim_malformed", issuer.credential(**changes))


def _types(issuer: Issuer) -> Iterator[Case]:
    yield Case("a type that is not listed", "vct_unknown", issuer.credential(vct=f"{VCT}/2"))
    yield Case("a type in capitals", "vct_unknown", issuer.credential(vct=VCT.upper()))
    aka = issuer.credential(vct="urn:x", aka_vcts=[VCT])
    yield Case("a type that is listed only in aka_vcts", "vct_unknown", aka)
    other = presented(
        "another type than asked for", "vct_not_expected", issuer.present(issuer.credential()), vct="urn:x"
    )
    yield other


def _times(issuer: Issuer) -> Iterator[Case]:
    yield Case("run out", "credential_expired", issuer.credential(exp=NOW_S - 30))
    yield Case("run out years ago", "credential_expired", issuer.credential(exp=1))
    yield Case("not valid yet", "credential_not_yet_valid", issuer.credential(nbf=NOW_S + 31))


def _status(issuer: Issuer) -> Iterator[Case]:
    states = {
        "revoked": (1, "revoked"),
        "suspended": (2, "suspended"),
        "in an unknown state": (3, "status_value_unknown"),
    }
    for name, (status, code) in states.items():
        lists = {STATUS_URI: issuer.status_list({7: status})}
        yield Case(name, code, issuer.credential(), status_lists=lists)
    outside = issuer.credential(status={"status_list": {"idx": 1024, "uri": STATUS_URI}})
    yield Case("a status index outside the list", "status_index_unknown", outside)
    yield Case("no status list", "status_missing", issuer.credential(), status_lists={})
    stale = {STATUS_URI: issuer.status_list(iat=NOW_S - DAY_S - 1)}
    yield Case("an old status list", "status_stale", issuer.credential(), status_lists=stale)


def _trust(issuer: Issuer) -> Iterator[Case]:
    yield Case("no trust list", "trust_missing", issuer.credential(), trust_list=None)
    old = issuer.trust_list(iat=NOW_S - 8 * DAY_S)
    yield Case("an old trust list", "trust_stale", issuer.credential(), trust_list=old)


def _binding(issuer: Issuer) -> Iterator[Case]:
    sd_jwt = issuer.credential()
    yield presented("no key binding", "key_binding_missing", sd_jwt)
    yield Case("a key binding from the issuer", "key_binding_unexpected", issuer.present(sd_jwt))
    headers: dict[str, dict[str, Any]] = {
        "a key binding typed JWT": {"typ": "JWT"},
        "a key binding without typ": {"typ": DELETE},
        "a key binding with alg none": {"alg": "none"},
        "a key binding with crit": {"crit": ["exp"]},
    }
    for name, header in headers.items():
        yield presented(name, "kb_malformed", issuer.present(sd_jwt, header=header))
    yield presented("a key binding that is no JWS", "kb_malformed", sd_jwt + "x")
    stranger = new_key()
    forged = issuer.present(sd_jwt, holder=stranger)
    yield presented("a key binding by another device", "kb_signature_invalid", forged)
    own = issuer.present(sd_jwt, holder=stranger, header={"jwk": jwk(stranger)})
    yield presented("a key binding that brings its own key", "kb_signature_invalid", own)
    jwt, first, *rest = sd_jwt.split("~")
    whole = issuer.present(sd_jwt)
    fewer = whole.replace(f"~{first}", "", 1)
    yield presented("a disclosure removed after binding", "kb_sd_hash_wrong", fewer)
    swapped = "~".join([jwt, rest[0], first, ""]) + whole.rpartition("~")[2]
    yield presented("disclosures in another order after binding", "kb_sd_hash_wrong", swapped)


def _binding_claims(issuer: Issuer) -> Iterator[Case]:
    sd_jwt = issuer.credential()

    def bound(name: str, code: str, **changes: Any) -> Case:
        return presented(name, code, issuer.present(sd_jwt, **changes))

    for name in ("iat", "aud", "nonce", "sd_hash"):
        yield bound(f"a key binding without {name}", "kb_malformed", **{name: DELETE})
    yield bound("aud as an array", "kb_malformed", aud=[AUDIENCE])
    yield bound("nonce as a number", "kb_malformed", nonce=1)
    yield bound("iat as a text", "kb_malformed", iat=str(NOW_S))
    yield bound("presented to someone else", "kb_audience_wrong", aud="x509_hash:other")
    yield bound("aud without its prefix", "kb_audience_wrong", aud="verifier")
    yield bound("the nonce of another request", "kb_nonce_wrong", nonce="other")
    yield bound("sd_hash of something else", "kb_sd_hash_wrong", sd_hash=digest("x"))
    yield bound("sd_hash with padding", "kb_sd_hash_wrong", sd_hash=digest(sd_jwt) + "=")
    yield bound("bound 300 s ago", VALID, iat=NOW_S - 300)
    yield bound("bound 301 s ago", "kb_iat_outside_window", iat=NOW_S - 301)
    yield bound("bound 60 s ahead", VALID, iat=NOW_S + 60)
    yield bound("bound 61 s ahead", "kb_iat_outside_window", iat=NOW_S + 61)
    yield bound("a key binding that has run out", "kb_expired", exp=NOW_S - 30)
    yield bound("a key binding for later", "kb_expired", nbf=NOW_S + 31)
