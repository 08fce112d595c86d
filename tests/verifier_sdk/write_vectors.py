"""Writes the vector files that every reader is tested with: `python -m tests.verifier_sdk.write_vectors`.

The keys are made for one run and thrown away; the files hold no private key.
"""

import json
from pathlib import Path

from tests.verifier_sdk import documents
from tests.verifier_sdk.cases import World, as_json
from tests.verifier_sdk.credentials import credential_cases
from tests.verifier_sdk.issuer import Issuer
from tests.verifier_sdk.live_codes import live_code_cases

VECTORS = Path(__file__).parent.parent / "vectors"
FILES = {
    "live_code": ("presentation/FORMAT.md, made by tests/verifier_sdk/live_codes.py", live_code_cases),
    "sd_jwt_vc_hostile": (
        "RFC 9901 and draft-ietf-oauth-sd-jwt-vc-19, made by tests/verifier_sdk/credentials.py",
        credential_cases,
    ),
}


def main() -> None:
    for name, (source, make) in FILES.items():
        issuer = Issuer()
        vectors = as_json(source, World.of(issuer), make(issuer))
        _write(name, vectors)
    _write("documents", documents.vectors())


def _write(name: str, vectors: object) -> None:
    (VECTORS / f"{name}.json").write_text(json.dumps(vectors, indent=1) + "\n")


if __name__ == "__main__":
    main()
