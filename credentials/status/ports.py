"""What this folder needs from outside."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""


class FieldCipher(Protocol):
    """Seals secrets that stay in the database."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt, bound to the place `table.column:row id`."""

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what `seal` gave for the same place, or raise."""
