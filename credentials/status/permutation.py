"""A keyed permutation of 0 … size-1: what a counter must go through to become an unpredictable index.

A balanced Feistel network over the next even number of bits, with HMAC-SHA-256 as round function, and cycle walking
back into the domain (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002). Different inputs give
different outputs by construction, so nothing has to be remembered or searched; without the key the outputs look
random.
"""

import hashlib
import hmac

ROUNDS = 10  # as NIST SP 800-38G takes for small domains


class KeyedPermutation:
    """Permutes the integers below `size`.

    Args:
        key: at least 16 secret bytes.
        size: at least 1. Another size under the same key is another permutation.
    """

    def __init__(self, key: bytes, size: int) -> None:
        self._key = key
        self._size = size
        self._half_bits = ((size - 1).bit_length() + 1) // 2
        self._mask = (1 << self._half_bits) - 1
        self._tweak = size.to_bytes(8, "big")

    def __call__(self, value: int) -> int:
        """The image of a value in range. The walk takes fewer than four steps on average."""
        image = self._encrypt(value)
        while image >= self._size:
            image = self._encrypt(image)
        return image

    def _encrypt(self, value: int) -> int:
        left, right = value >> self._half_bits, value & self._mask
        for number in range(ROUNDS):
            message = self._tweak + bytes([number]) + right.to_bytes(8, "big")
            digest = hmac.digest(self._key, message, hashlib.sha256)
            left, right = right, left ^ int.from_bytes(digest[:8], "big") & self._mask
        return left << self._half_bits | right
