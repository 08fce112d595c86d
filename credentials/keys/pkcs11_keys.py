"""Private keys inside a PKCS#11 token: made there, used there, never read out.

A key comes back as an `EllipticCurvePrivateKey` whose `sign` asks the token, so that certificates, requests and tokens
are signed by the same code as with key files.
"""

import secrets
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pkcs11
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, TokenFlag

from credentials.keys.errors import (
    KeyUnfit,
    SignatureInvalid,
    TokenKeyMissing,
    TokenMisconfigured,
    TokenPinRefused,
    TokenUnavailable,
)
from credentials.keys.formats.es256 import COORDINATE_BYTES, verify_es256
from credentials.keys.key_stores import TOKEN_SCHEME
from credentials.keys.models import KeyPurpose

_P256 = bytes.fromhex("06082a8648ce3d030107")  # the OID of secp256r1 in DER: CKA_EC_PARAMS
_REQUIRED = {
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.NEVER_EXTRACTABLE: True,
    Attribute.LOCAL: True,  # generated inside
    Attribute.SIGN: True,
    Attribute.DECRYPT: False,
    Attribute.UNWRAP: False,
    Attribute.EC_PARAMS: _P256,
}
_T = TypeVar("_T")


class Pkcs11Keys:
    """The keys in one token. Nothing is opened before the first use.

    One session is kept and used by one thread at a time, because a PKCS#11 session is not thread-safe. A session that
    was lost is opened again, once a call. A PIN that was refused is not tried again by this object: tokens lock
    after a few wrong ones.

    Args:
        module: the vendor's library, for example `/usr/lib/softhsm/libsofthsm2.so`.
        token_label: of the token that holds the keys.
        pin: of the token's user.
    """

    def __init__(self, module: Path, token_label: str, pin: str) -> None:
        self._module = module
        self._label = token_label
        self._pin = pin
        self._lock = threading.RLock()
        self._session: pkcs11.Session | None = None
        self._handles: dict[str, Any] = {}
        self._refusal: TokenPinRefused | None = None

    def generate(self, purpose: KeyPurpose) -> tuple[str, ec.EllipticCurvePrivateKey]:
        """Make a P-256 key that never leaves the token; its reference and the key.

        Raises:
            TokenUnavailable, TokenMisconfigured, TokenPinRefused: the token cannot be used.
            KeyUnfit: the token made a key with other attributes than were asked for.
        """
        name = f"{purpose.value}-{secrets.token_hex(8)}"
        self._run(lambda session: _generate(session, name))
        return f"{TOKEN_SCHEME}{name}", self.read(f"{TOKEN_SCHEME}{name}")

    def read(self, reference: str) -> ec.EllipticCurvePrivateKey:
        """Find a key and check what it is.

        Raises:
            TokenKeyMissing: the token holds no such key, or several.
            KeyUnfit: it could be read out of the token, was not made in it, or is no P-256 key for signing.
            TokenUnavailable, TokenMisconfigured, TokenPinRefused: the token cannot be used.
        """
        name = reference.removeprefix(TOKEN_SCHEME)
        public_key, attributes = self._run(lambda session: self._look_at(session, name))
        wrong = [attribute.name for attribute, value in _REQUIRED.items() if attributes.get(attribute) != value]
        if wrong:
            raise KeyUnfit(
                f"the key {name} in the token {self._label} has unfit attributes ({', '.join(wrong)}):"
                " rotate to a key that is made in the token, sensitive and not extractable"
            )
        return _TokenKey(self, name, public_key)

    def remove(self, reference: str) -> None:
        """Destroy a key that nothing refers to; one that is not there is no error."""
        name = reference.removeprefix(TOKEN_SCHEME)

        def destroy(session: pkcs11.Session) -> None:
            for found in list(session.get_objects({Attribute.LABEL: name})):
                found.destroy()
            self._handles.pop(name, None)

        self._run(destroy)

    def close(self) -> None:
        """Give the session back; the next use opens another."""
        with self._lock:
            session, self._session = self._session, None
            self._handles.clear()
            try:
                if session is not None:
                    session.close()
            except pkcs11.PKCS11Error:
                pass  # it was lost already

    def sign(self, name: str, digest: bytes) -> bytes:
        """ECDSA over a SHA-256 digest: r and s as the token gives them, 64 bytes, not verified yet."""
        return self._run(lambda session: bytes(self._handle(session, name).sign(digest, mechanism=Mechanism.ECDSA)))

    def _run(self, operation: Callable[[pkcs11.Session], _T]) -> _T:
        with self._lock:
            for last_try in (False, True):
                session = self._session = self._session or self._open()
                try:
                    return operation(session)
                except pkcs11.PKCS11Error as error:
                    self.close()
                    if last_try:
                        raise TokenUnavailable(
                            f"the token {self._label} failed twice ({type(error).__name__}): look after it and at its"
                            " connection; signing goes on by itself when it answers again"
                        ) from error
        raise AssertionError("unreachable")

    def _open(self) -> pkcs11.Session:
        if self._refusal is not None:
            raise self._refusal
        token = self._token()
        if token.flags & TokenFlag.USER_PIN_LOCKED:
            self._refuse("is locked by wrong PINs: have its security officer set a new PIN")
        if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
            self._refuse("would lock with the next wrong PIN, so none is tried: log in once by the vendor's tool")
        try:
            return token.open(rw=True, user_pin=self._pin)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open(rw=True)  # another part of this process is logged in, which counts for all of it
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
            self._refuse("refused the PIN: set PKCS11_PIN and start again; it is not tried again until then", error)
        except (pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.UserPinNotInitialized) as error:
            self._refuse(f"has no usable PIN ({type(error).__name__}): have its security officer set one", error)
        except pkcs11.PKCS11Error as error:
            raise TokenUnavailable(f"the token {self._label} does not open ({type(error).__name__})") from error

    def _token(self) -> pkcs11.Token:
        try:
            return pkcs11.lib(str(self._module)).get_token(token_label=self._label)
        except (pkcs11.NoSuchToken, pkcs11.MultipleTokensReturned) as error:
            raise TokenMisconfigured(
                f"no token, or more than one, is labelled {self._label}: set PKCS11_TOKEN to the label of one"
            ) from error
        except pkcs11.PKCS11Error as error:
            raise TokenMisconfigured(
                f"the PKCS#11 module {self._module} cannot be used: install it, or set PKCS11_MODULE"
            ) from error

    def _refuse(self, what: str, error: Exception | None = None) -> NoReturn:
        self._refusal = TokenPinRefused(f"the token {self._label} {what}")
        raise self._refusal from error

    def _handle(self, session: pkcs11.Session, name: str) -> Any:
        """The private key's object; looked up once a session, as searching takes longer than signing."""
        if name not in self._handles:
            self._handles[name] = _the_one(session, ObjectClass.PRIVATE_KEY, name)
        return self._handles[name]

    def _look_at(self, session: pkcs11.Session, name: str) -> tuple[ec.EllipticCurvePublicKey, dict[Attribute, Any]]:
        private_key = self._handle(session, name)
        attributes = {attribute: _attribute(private_key, attribute) for attribute in _REQUIRED}
        if attributes[Attribute.EC_PARAMS] != _P256:
            raise KeyUnfit(f"the key {name} in the token is not on P-256")
        return _public_key(_the_one(session, ObjectClass.PUBLIC_KEY, name)), attributes


class _TokenKey(ec.EllipticCurvePrivateKey):
    """A key that signs in the token, each signature verified in software before it is let out."""

    def __init__(self, keys: Pkcs11Keys, name: str, public_key: ec.EllipticCurvePublicKey) -> None:
        self._keys = keys
        self._name = name
        self._public_key = public_key

    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA with SHA-256, in DER.

        Raises:
            KeyUnfit: what the token gave is no signature of this key over the data.
        """
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed) or not isinstance(algorithm, hashes.SHA256):
            raise NotImplementedError("the token signs SHA-256 digests that are made here")
        message = bytes(data)
        signature = self._keys.sign(self._name, sha256(message).digest())
        try:
            verify_es256(self._public_key, message, signature)
        except SignatureInvalid as error:
            raise KeyUnfit(f"the token gave a wrong signature for the key {self._name}; it was not let out") from error
        r, s = signature[:COORDINATE_BYTES], signature[COORDINATE_BYTES:]
        return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        raise NotImplementedError("the key is for signing")

    def private_numbers(self) -> NoReturn:
        raise NotImplementedError("the key does not leave its token")

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> NoReturn:
        raise NotImplementedError("the key does not leave its token")

    def __copy__(self) -> "_TokenKey":
        return self

    def __deepcopy__(self, memo: Any) -> "_TokenKey":
        return self


def _generate(session: pkcs11.Session, name: str) -> None:
    parameters = session.create_domain_parameters(KeyType.EC, {Attribute.EC_PARAMS: _P256}, local=True)
    parameters.generate_keypair(
        store=True,
        id=sha256(name.encode()).digest()[:20],
        label=name,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template={
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.DECRYPT: False,
            Attribute.UNWRAP: False,
            Attribute.DERIVE: False,
        },
    )


def _the_one(session: pkcs11.Session, kind: ObjectClass, name: str) -> Any:
    found = list(session.get_objects({Attribute.CLASS: kind, Attribute.LABEL: name}))
    if len(found) != 1:
        raise TokenKeyMissing(
            f"the token holds {len(found)} keys named {name} instead of one: configure the token that it was made in,"
            " or restore it from the token's backup"
        )
    return found[0]


def _attribute(key: Any, attribute: Attribute) -> Any:
    try:
        return key[attribute]
    except pkcs11.AttributeTypeInvalid:
        return None  # not of this key, which is not what is required either


def _public_key(key: Any) -> ec.EllipticCurvePublicKey:
    point: bytes = key[Attribute.EC_POINT]
    uncompressed = point[2:] if point[:2] == b"\x04\x41" else point  # an OCTET STRING; some tokens give it bare
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), uncompressed)
    except ValueError as error:
        raise KeyUnfit("the token holds a public key that is no point of P-256") from error
