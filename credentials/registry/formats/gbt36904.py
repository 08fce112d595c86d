"""The identifier of an electronic licence (电子证照标识), GB/T 36904-2018.

    1.2.156.3005.2 . type code (21) . issuing authority (18, or 6 in old data) . serial . version (3 digits) . check

The check character is ISO 7064 MOD 37,36 over the parts without dots and without the OID root.
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from credentials.registry.errors import IdentifierError

ROOT = "1.2.156.3005.2"
MAX_VERSION = 999  # three digits
_FORM = re.compile(
    r"1\.2\.156\.3005\.2\.([0-9A-Z]{21})\.([0-9A-Z]{18}|[0-9]{6})\.([0-9A-Z]{1,40})\.([0-9]{3})\.([0-9A-Z])"
)
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}


@dataclass(frozen=True)
class Identifier:
    """A licence identifier in its parts.

    Attributes:
        check: the check character as it was written; `check_holds` says whether it is the right one.
    """

    type_code: str
    authority_code: str
    serial: str
    version: int
    check: str

    @classmethod
    def from_text(cls, text: str) -> "Identifier":
        """Parse the dotted form. A wrong check character is kept, not refused (see `check_holds`).

        Raises:
            IdentifierError: the form is not that of GB/T 36904.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise IdentifierError("not of the form 1.2.156.3005.2.<type>.<authority>.<serial>.<version>.<check>")
        type_code, authority, serial, version, check = match.groups()
        return cls(type_code, authority, serial, int(version), check)

    @classmethod
    def issue(cls, type_code: str, authority_code: str, serial: str, version: int) -> "Identifier":
        """A new identifier with its check character computed.

        Raises:
            IdentifierError: a part is out of form.
        """
        body = f"{type_code}{authority_code}{serial}{version:03}"
        if not body.isascii() or not body.isalnum() or body != body.upper():
            raise IdentifierError("the parts are digits and upper-case letters")
        check = _check_character(type_code + authority_code, f"{serial}{version:03}")
        return cls.from_text(f"{ROOT}.{type_code}.{authority_code}.{serial}.{version:03}.{check}")

    @cached_property
    def check_holds(self) -> bool:
        """Whether the check character is the one that the other parts give."""
        return _check_character(self.type_code + self.authority_code, f"{self.serial}{self.version:03}") == self.check

    def __str__(self) -> str:
        return f"{ROOT}.{self.type_code}.{self.authority_code}.{self.serial}.{self.version:03}.{self.check}"


def _check_character(issuer: str, own: str) -> str:
    """ISO 7064 MOD 37,36 over the parts."""
    return _ALPHABET[(37 - _pass_over(own, _after_issuer(issuer))) % 36]


@lru_cache(maxsize=4096)
def _after_issuer(issuer: str) -> int:
    """The state after type and authority: a city has few pairs of them, and they are two thirds of an identifier."""
    return _pass_over(issuer, 36)


def _pass_over(characters: str, product: int) -> int:
    for character in characters:
        product = ((product + _VALUES[character]) % 36 or 36) * 2 % 37
    return product
