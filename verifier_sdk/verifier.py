"""Checks what a holder shows. Every check is one reading of the clock, and no network.

verifier = Verifier(trust=trust)
try:
    licence = verifier.check(qr_text)
except NotValid as refusal:
    print("refuse:", refusal.code)
except CannotTell as doubt:
    print("cannot tell:", doubt.code, "-", doubt.cure)
"""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from . import _check_result, _credential, _live_code, _scenes
from ._check_result import Asked
from ._ecdsa import PublicKey
from ._fault import Fault, told_as
from ._freshness import expect_valid_status, fresh_trust_list
from ._live_code import Pass, Proof
from ._seen_chains import SeenChains
from ._seen_passes import SeenPass, SeenPasses
from ._trust_list import LicenceType, ListedKey, TrustList, instant
from .clock import Clock, SystemClock
from .errors import CannotTell, JournalError, NotValid, TrustError
from .journal import Journal
from .models import Item, Label, Profile, Redeemed, Scene, Shown, Valid, ValidCredential
from .online import OnlineClient
from .policy import Expected, Policy
from .trust import Trust

SHANGHAI = timezone(timedelta(hours=8))  # fixed since 1991; needs no time zone database on the device
AUDIENCE = "lz-show"


class Verifier:
    """Checks live codes and credentials against one `TrustStore`. May be shared by threads.

    Args:
        trust: What this device knows.
        policy: What it is content with.
        clock: Another clock than the machine's.
        journal: Where checks without a network are entered. With one, a code is valid only once it stands there.
    """

    def __init__(
        self,
        trust: Trust,
        policy: Policy | None = None,
        clock: Clock | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._trust = trust
        self._policy = policy or Policy()
        self._clock = clock or SystemClock()
        self._journal = journal
        self._seen_passes, self._seen_chains = SeenPasses(), SeenChains()

    def check(self, qr_text: str, challenge: bytes | None = None, *, scene: str | None = None) -> Valid:
        """Check a live code (live code format §5, whose step numbers the code repeats).

        Args:
            qr_text: What the QR code says, without surrounding white space.
            challenge: The 8 to 64 bytes given to the holder's device, when there was such an exchange.
            scene: The id of the scene in which the licence is checked, one of the trust list's; it says which types
                are looked at, which items, and whether a check without a network is enough.

        Returns:
            What the holder shows. It is valid by this computation only; what a screen looks like proves nothing.

        Raises:
            NotValid: It must not be accepted: every code of the format's §5 but those below.
            CannotTell: `trust_missing`, `trust_stale`, `status_missing`, `status_stale`, `status_value_unknown`,
                `scene_unknown`, `scene_needs_network`, `replay_record_unavailable`, `check_not_recorded`.

        Not checked: whether the person is the holder (compare the photo online), whether the code is relayed
        live from elsewhere (give a challenge), the live state at the authority (the status list is as old as
        `status_age`).
        """
        now = self._clock.now()
        proof, trust_list, key, checked_in = self._expect_shown(qr_text, challenge, scene, now)  # (1) to (10)
        show_pass = proof.show_pass
        status_age = expect_valid_status(  # (11)
            self._trust, self._policy, now, show_pass.status_uri, show_pass.status_idx, show_pass.type_code
        )
        if not self._record(proof.cti, now):  # (12)
            raise NotValid("code_replayed", f"seen within the last {self._policy.replay_window_s} s")
        result = _result(proof, trust_list, key, checked_in, status_age, now)
        self._enter(result)
        return result

    def check_shown(self, qr_text: str, challenge: bytes | None = None) -> Shown:
        """Steps 1 to 10 of `check`: all that needs neither status list nor replay record.

        For a server that knows the licence's state itself and burns the `cti`. Not a result to act upon: a revoked
        licence and a code used before pass.

        Args:
            qr_text, challenge: As for `check`.

        Raises:
            NotValid: As for `check`, but for `status_index_unknown`, `revoked`, `suspended`, `code_replayed`.
            CannotTell: `trust_missing`, `trust_stale`.
        """
        proof, *_ = self._expect_shown(qr_text, challenge, None, self._clock.now())
        show_pass = proof.show_pass
        return Shown(
            type_code=show_pass.type_code,
            type_version=show_pass.type_version,
            profile=_profile(proof),
            status_uri=show_pass.status_uri,
            status_idx=show_pass.status_idx,
            device_key_x=show_pass.cnf_x,
            made_at_s=proof.iat,
            cti=proof.cti,
        )

    def redeem(
        self,
        qr_text: str,
        scene: str,
        client: OnlineClient,
        *,
        challenge: bytes | None = None,
        items: Sequence[str] | None = None,
        reason: str | None = None,
        operator: str | None = None,
        or_offline: bool = False,
    ) -> Redeemed | Valid:
        """Have the platform check a live code, which uses it up everywhere: live state, photo, items of the scene.

        What is no live code is not sent. The platform's answer counts only under its signature, made for this
        verifier and this code. If the answer is lost on the way, the code is used up nevertheless: ask for the next.

        Args:
            qr_text, challenge: As for `check`.
            scene: The scene's id. Only what it allows is released.
            client: The way to the platform.
            items: Fewer items than the scene has, by name.
            reason, operator: Why, and the inspector's own id, for the access log that the holder reads; up to 200 and
                64 characters.
            or_offline: When the platform cannot be reached, `check` in its stead (with its result and errors).

        Raises:
            NotValid: By this device's own reading (`malformed`, …) or by the platform's.
            CannotTell: `trust_missing`, `trust_stale`, `network_unavailable`, `answer_not_trusted`, `clock_off`,
                `verifier_refused`, `too_many_requests`, `scene_unknown`.
        """
        proof = _live_code.read(qr_text)
        trust_list = fresh_trust_list(self._trust, self._policy, self._clock.now())
        try:
            answer = client.check(qr_text, scene, challenge=challenge, items=items, reason=reason, operator=operator)
        except CannotTell as doubt:
            if or_offline and doubt.code == "network_unavailable":
                return self.check(qr_text, challenge, scene=scene)
            raise
        now = self._clock.now()
        asked = Asked(qr_text, scene, client.client_id)
        result = _check_result.read(answer, asked, self._trust, trust_list, now, self._policy.skew_s)
        self._record(proof.cti, now)  # so that it does not pass here without a network either
        return result

    def check_credential(self, sd_jwt: str) -> ValidCredential:
        """Check an SD-JWT VC as its issuer sent it, without key binding: what a wallet does on receipt.

        Args:
            sd_jwt: The compact form, ending in `~`.

        Raises:
            NotValid: Among others `key_binding_unexpected` for a presentation (RFC 9901 §7.2).
            CannotTell: As for `check`, but for the replay record.

        Not checked: what `check_presentation` does not check either, and whether the wallet has the `cnf` key.
        """
        return _credential.check(self._trust, self._seen_chains, self._policy, self._clock.now(), sd_jwt, None)

    def check_presentation(self, text: str, expected: Expected) -> ValidCredential:
        """Check a presented SD-JWT VC and its key binding (RFC 9901 §7.1, §7.3), which is always required.

        Args:
            text: The compact form, ending in the KB-JWT.
            expected: What was asked for. The caller uses a nonce once and closes the request with the answer.

        Raises:
            NotValid: The presentation must not be accepted.
            CannotTell: As for `check`, but for the replay record.

        Not checked: type metadata (labels, `mandatory`), `aka_vcts`, DCQL (which claims were asked for).
        """
        return _credential.check(self._trust, self._seen_chains, self._policy, self._clock.now(), text, expected)

    def _expect_shown(
        self, qr_text: str, challenge: bytes | None, scene_id: str | None, now: datetime
    ) -> tuple[Proof, TrustList, ListedKey, Scene | None]:
        proof = _live_code.read(qr_text, self._seen_passes.read)  # (1) (2) (3)
        show_pass = proof.show_pass
        trust_list = fresh_trust_list(self._trust, self._policy, now)  # (4)
        scene = _scenes.for_checking_offline(trust_list.scenes, scene_id)
        key, holder_key = self._verify_pass(proof, trust_list, now)  # (5)
        _scenes.expect_type(scene, show_pass.type_code)
        self._expect_pass_time(show_pass, int(now.timestamp()))  # (6)
        with told_as(NotValid, {"form": "proof_signature_invalid"}):
            proof.signed.verify(holder_key, _live_code.PROOF_CONTEXT)  # (7)
        if proof.aud != AUDIENCE:
            raise NotValid("proof_audience_wrong", f"aud is not {AUDIENCE}")
        self._expect_proof_time(proof, int(now.timestamp()))  # (8)
        _expect_challenge(proof.cnonce, challenge)  # (9)
        _expect_licence_time(show_pass, now)  # (10)
        return proof, trust_list, key, scene

    def _verify_pass(self, proof: Proof, trust_list: TrustList, now: datetime) -> tuple[ListedKey, PublicKey]:
        """Step 5: try every key that has the kid and may sign; give it and the holder's key."""
        show_pass, protected = proof.show_pass, proof.signed.protected
        candidates = [
            key
            for key in trust_list.keys_by_kid("pass", show_pass.kid)
            if key.may_sign(show_pass.type_code) and key.path.holds_at(now)
        ]
        if not candidates:
            raise NotValid("issuer_unknown", "no valid pass key of the trust list has this kid and licence type")
        for key in candidates:
            holder_key = self._seen_passes.holder_key(protected, key.leaf_sha256)
            if holder_key is not None:
                return key, holder_key
            if not _signed_by(show_pass, key):
                continue
            with told_as(NotValid, {"form": "malformed"}):
                holder_key = show_pass.holder_key()
            self._seen_passes.remember(protected, SeenPass(show_pass, key.leaf_sha256, holder_key))
            return key, holder_key
        raise NotValid("pass_signature_invalid", "no key with this kid made the signature")

    def _expect_pass_time(self, show_pass: Pass, now_s: int) -> None:
        skew_s = self._policy.skew_s
        if now_s < show_pass.nbf - skew_s:
            raise NotValid("pass_not_yet_valid", f"valid in {show_pass.nbf - now_s} s")
        if now_s > show_pass.exp + skew_s:
            raise NotValid("pass_expired", f"over since {now_s - show_pass.exp} s")

    def _expect_proof_time(self, proof: Proof, now_s: int) -> None:
        skew_s, show_pass = self._policy.skew_s, proof.show_pass
        if proof.iat < now_s - self._policy.code_lifetime_s - skew_s:
            raise NotValid("proof_expired", f"made {now_s - proof.iat} s ago")
        if proof.iat > now_s + skew_s:
            raise NotValid("proof_from_the_future", f"clock skew: made {proof.iat - now_s} s ahead of this clock")
        if not show_pass.nbf - skew_s <= proof.iat <= show_pass.exp + skew_s:
            raise NotValid("proof_outside_pass", "made outside the validity of its pass")

    def _record(self, cti: bytes, now: datetime) -> bool:
        try:
            return self._trust.record_code(cti, now, self._policy.replay_window_s)
        except TrustError as error:
            raise CannotTell("replay_record_unavailable", error.detail) from error

    def _enter(self, result: Valid) -> None:
        if self._journal is None:
            return
        try:
            self._journal.record(result)
        except JournalError as error:
            raise CannotTell("check_not_recorded", f"{error.code}: {error.detail}") from error


def _signed_by(show_pass: Pass, key: ListedKey) -> bool:
    try:
        show_pass.signed.verify(key.path.key, _live_code.PASS_CONTEXT)
    except Fault:
        return False
    return True


def _expect_challenge(cnonce: bytes | None, challenge: bytes | None) -> None:
    if challenge is None:
        return
    if cnonce is None:
        raise NotValid("challenge_missing", "the code carries no cnonce")
    if not hmac.compare_digest(cnonce, challenge):
        raise NotValid("challenge_wrong", "cnonce is not the challenge given")


def _expect_licence_time(show_pass: Pass, now: datetime) -> None:
    today = now.astimezone(SHANGHAI).date()
    if show_pass.valid_until is not None and show_pass.valid_until < today:
        raise NotValid("licence_expired", f"last valid day {show_pass.valid_until.isoformat()}")


def _profile(proof: Proof) -> Profile:
    return Profile.MINIMAL if proof.show_pass.profile == 1 else Profile.FACE


def _result(
    proof: Proof, trust_list: TrustList, key: ListedKey, scene: Scene | None, status_age: timedelta, now: datetime
) -> Valid:
    show_pass = proof.show_pass
    licence_type = trust_list.type_by_code(show_pass.type_code, show_pass.type_version)
    return Valid(
        type_code=show_pass.type_code,
        type_name=licence_type.name if licence_type else Label(show_pass.type_code, show_pass.type_code),
        profile=_profile(proof),
        items=_shown_items(show_pass, trust_list, licence_type, scene),
        state="valid",
        valid_until=show_pass.valid_until,
        authority=key.authority,
        issuer_kid=key.kid.hex(),
        trust_age=now - instant(trust_list.iat),
        status_age=status_age,
        checked_at=now,
        cti=proof.cti,
        scene=scene,
        status_uri=show_pass.status_uri,
        status_idx=show_pass.status_idx,
    )


def _shown_items(
    show_pass: Pass, trust_list: TrustList, licence_type: LicenceType | None, scene: Scene | None
) -> tuple[Item, ...]:
    wanted = scene.items.get(show_pass.type_code, frozenset()) if scene is not None else None
    items = []
    for key, value in show_pass.items:
        name, label = trust_list.item_by_key(licence_type, key)
        if wanted is None or name in wanted:
            items.append(Item(key, label, value))
    return tuple(items)
