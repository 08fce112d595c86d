"""What can go wrong with keys, certificates and the trust list."""

from credentials.errors import CredentialsError


class KeysError(CredentialsError):
    """The base of this folder's errors."""

    code = "keys_error"


class InvalidKeyRequest(KeysError):
    """A key was asked for that the certificate profile has no room for."""

    code = "key_request_invalid"


class SigningKeyMissing(KeysError):
    """There is no active, unexpired key for the purpose and authority."""

    code = "signing_key_missing"


class KeyRotationLost(KeysError):
    """Another process changed the same key first; look again before trying again."""

    code = "key_rotation_lost"


class PassphraseTooShort(KeysError):
    """The passphrase of the key files is too short to protect them."""

    code = "key_passphrase_too_short"


class KeyFileMissing(KeysError):
    """The database names a key file that is not in the directory."""

    code = "key_file_missing"


class KeyFileUnreadable(KeysError):
    """A key file does not open: another passphrase, or damage."""

    code = "key_file_unreadable"


class KeyUnfit(KeysError):
    """A key in a token has attributes that do not protect it, or its signatures are wrong."""

    code = "key_unfit"


class TokenKeyMissing(KeysError):
    """The database names a key that is not in the token."""

    code = "token_key_missing"


class TokenMisconfigured(KeysError):
    """The PKCS#11 module or the token's label is wrong."""

    code = "token_misconfigured"


class TokenPinRefused(KeysError):
    """The token refused the PIN, or would lock with the next wrong one; it is not tried again."""

    code = "token_pin_refused"


class TokenUnavailable(KeysError):
    """The token does not answer; it is tried again with the next use."""

    code = "token_unavailable"


class KeyCertificateMismatch(KeysError):
    """A private key is not the one its certificate speaks of."""

    code = "key_certificate_mismatch"


class TrustListMissing(KeysError):
    """No trust list was published yet."""

    code = "trust_list_missing"


class MalformedBase64Url(KeysError):
    """Text that is not base64url without padding in its one canonical form."""

    code = "base64url_malformed"


class CertificatePathInvalid(KeysError):
    """A certificate chain that does not lead to an anchor by the rules; the detail says which rule is broken."""

    code = "certificate_path_invalid"


class SignatureInvalid(KeysError):
    """A signature that is not of this key over this message."""

    code = "signature_invalid"


class CertificateRequestMissing(KeysError):
    """No key of ours waits for this certificate."""

    code = "certificate_request_missing"


class CertificateUnfit(KeysError):
    """An outside authority's certificate breaks the profile that readers demand; the detail says where."""

    code = "certificate_unfit"
