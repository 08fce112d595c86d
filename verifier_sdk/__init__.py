"""Checks licences of a Liangzheng wallet (亮证): live QR codes and SD-JWT VCs, with or without a network.

from verifier_sdk import CannotTell, NotValid, TrustStore, Verifier

with TrustStore.open("knowledge", anchors=[root_pem]) as trust:
    trust.sync("https://wallet.example.gov.cn/api/v1/trust-list")
    try:
        licence = Verifier(trust=trust).check(qr_text, scene="road-traffic")
    except NotValid as refusal:
        print("not valid:", refusal.code)
    except CannotTell as doubt:
        print("cannot tell:", doubt.code, doubt.cure)
"""

from .errors import CODES, CannotTell, JournalError, NotValid, TrustError, VerifierError
from .journal import Journal
from .models import (
    Authority,
    Item,
    JournalEntry,
    KeyBinding,
    Knowledge,
    Label,
    NamedItem,
    Outcome,
    Profile,
    Redeemed,
    Scene,
    Shown,
    SyncItem,
    SyncReport,
    UploadReport,
    Valid,
    ValidCredential,
)
from .online import OnlineClient
from .policy import Expected, Policy
from .trust import Trust, TrustInHand, TrustStore
from .verifier import Verifier

__all__ = [
    "CODES",
    "Authority",
    "CannotTell",
    "Expected",
    "Item",
    "Journal",
    "JournalEntry",
    "JournalError",
    "KeyBinding",
    "Knowledge",
    "Label",
    "NamedItem",
    "NotValid",
    "OnlineClient",
    "Outcome",
    "Policy",
    "Profile",
    "Redeemed",
    "Scene",
    "Shown",
    "SyncItem",
    "SyncReport",
    "Trust",
    "TrustError",
    "TrustInHand",
    "TrustStore",
    "UploadReport",
    "Valid",
    "ValidCredential",
    "Verifier",
    "VerifierError",
]
