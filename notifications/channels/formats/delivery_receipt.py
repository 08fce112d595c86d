"""Delivery receipts of SMPP 3.4: the optional parameters of §5.3.2, or the text of appendix B."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

RECEIPT_CLASS = 0x04  # of esm_class, §5.2.12; other bits may stand beside it
_CLASS_MASK = 0x3C
MESSAGE_STATE, RECEIPTED_MESSAGE_ID, MESSAGE_PAYLOAD = 0x0427, 0x001E, 0x0424

_STATES = {  # §5.2.28
    1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD", 7: "UNKNOWN", 8: "REJECTD",
}  # fmt: skip
_UNDELIVERED = frozenset({"EXPIRED", "DELETED", "UNDELIV", "REJECTD", "UNKNOWN"})
_ID = re.compile(rb"(?:^|\s)id:([!-~]{1,65})(?=\s|$)", re.IGNORECASE)
_STAT = re.compile(rb"(?:^|\s)stat:([A-Z]{1,7})(?=\s|$)", re.IGNORECASE)


@dataclass(frozen=True)
class DeliveryReceipt:
    """What became of a message that the centre had accepted. `state` is the word of appendix B."""

    message_id: str
    state: str

    @property
    def delivered(self) -> bool | None:
        """None while it is still under way."""
        if self.state == "DELIVRD":
            return True
        return False if self.state in _UNDELIVERED else None


def read_delivery_receipt(esm_class: int, text: bytes, parameters: Mapping[int, bytes]) -> DeliveryReceipt | None:
    """A receipt, or None for any other message from the centre (what somebody wrote to us, say).

    Optional parameters go before the text, whose form centres bend.
    """
    if esm_class & _CLASS_MASK != RECEIPT_CLASS:
        return None
    text = text or parameters.get(MESSAGE_PAYLOAD, b"")  # §5.3.2.32
    message_id, state = _id_of(parameters.get(RECEIPTED_MESSAGE_ID, b"")), _state_of(parameters.get(MESSAGE_STATE, b""))
    if message_id is None and (found := _ID.search(text)):
        message_id = found[1].decode("ascii")
    if state is None and (found := _STAT.search(text)):
        state = found[1].decode("ascii").upper()
    return DeliveryReceipt(message_id, state) if message_id and state else None


def _id_of(value: bytes) -> str | None:
    trimmed = value.rstrip(b"\x00")
    return trimmed.decode("ascii") if re.fullmatch(rb"[!-~]{1,65}", trimmed) else None


def _state_of(value: bytes) -> str | None:
    return _STATES.get(value[0]) if len(value) == 1 else None
