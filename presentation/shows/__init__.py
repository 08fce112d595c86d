"""Showing a licence (亮证): passes for a device, and the live code that it makes of one (`presentation/FORMAT.md`).

passes = await shows.issue_passes(session, licence_id, holder_id, device_key, Profile.MINIMAL, days=3)
proof = encode_proof(passes[0].token, now_s, secrets.token_bytes(16), device_sign)     # on the device, no network
print(qr_text("https://wallet.example", proof))
"""

from presentation.shows.errors import DeviceKeyUnknown, NotShowable, PassRequestInvalid
from presentation.shows.formats.live_code import CTI_BYTES, encode_proof, qr_text
from presentation.shows.formats.qr_symbol import qr_png, qr_svg, qr_symbol
from presentation.shows.held_keys import HeldKeys
from presentation.shows.models import DeviceKey, LiveCode, Profile, ShowableLicence, ShowPass, StatusPlace
from presentation.shows.service import Shows

__all__ = [
    "CTI_BYTES",
    "DeviceKey",
    "DeviceKeyUnknown",
    "HeldKeys",
    "LiveCode",
    "NotShowable",
    "PassRequestInvalid",
    "Profile",
    "ShowPass",
    "ShowableLicence",
    "Shows",
    "StatusPlace",
    "encode_proof",
    "qr_png",
    "qr_svg",
    "qr_symbol",
    "qr_text",
]
