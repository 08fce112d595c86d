"""Cursors of pages: sealed, so that none can be made, read or used by another caller or for another list."""

import base64
import binascii
from collections.abc import Sequence

import orjson

from wallet_api.protection import DataProtector, ProtectionError

MAX_CURSOR_CHARS = 512  # the longest of ours has about 200


class CursorInvalid(Exception):
    """The cursor was not given out for this caller and this list."""

    code = "cursor_invalid"
    detail = "the cursor was not given out for this list; start from the first page"


class Cursors:
    """Seals the place of a page's last row for one list of one caller."""

    def __init__(self, protector: DataProtector) -> None:
        self._protector = protector

    def seal(self, page_of: str, place: Sequence[str | int]) -> str:
        """A cursor.

        Args:
            page_of: which list for whom, with its filters; `open` must be given the same.
            place: the sort key of the last row that was handed out.
        """
        return base64.urlsafe_b64encode(self._protector.seal(orjson.dumps(place), _context(page_of))).decode()

    def open(self, page_of: str, cursor: str) -> list[str | int]:
        """The place that `seal` was given.

        Raises:
            CursorInvalid: made by another, for another caller or list, or damaged.
        """
        if len(cursor) > MAX_CURSOR_CHARS:
            raise CursorInvalid
        try:
            sealed = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise CursorInvalid from error
        try:
            place: list[str | int] = orjson.loads(self._protector.open(sealed, _context(page_of)))
        except ProtectionError as error:
            raise CursorInvalid from error
        return place


def _context(page_of: str) -> str:
    return f"cursor:{page_of}"
