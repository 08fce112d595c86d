"""Verifiers (用证核验方): which organisations' systems may check licences, for which scenes, and how fast.

await verifiers.register(session, Registration("sh-traffic", "某市公安局", "路面查验终端", ("traffic-police-check",)))
await verifiers.suspend(session, "sh-traffic")       # its next request is refused
"""

from presentation.verifiers.errors import VerifierInvalid, VerifierSuspended, VerifierUnknown
from presentation.verifiers.models import Registration, Verifier
from presentation.verifiers.service import Verifiers

__all__ = ["Registration", "Verifier", "VerifierInvalid", "VerifierSuspended", "VerifierUnknown", "Verifiers"]
