"""What the access log needs of others."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present instant, aware."""
        ...


class Protector(Protocol):
    """Seals what a person wrote for one place."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypt for `context`."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt what was sealed for the same context."""
        ...
