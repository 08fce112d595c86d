"""What a verifier is told: scene ∩ profile ∩ asked. Pure: values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from presentation.checks.models import ShownLicence
from presentation.scenes import PORTRAIT, Scene
from presentation.shows import Profile
from presentation.shows.masking import mask_name, mask_number

#: What each profile shows beside the type's face items (FORMAT.md §3.1, §7).
MINIMAL_CLAIMS = frozenset({"holder_name", "certificate_number", "issuing_authority_name", "valid_until"})
FACE_CLAIMS = MINIMAL_CLAIMS | {"certificate_identifier", "issued_on"}
ALWAYS = "valid_until"  # stands beside the state in every result


@dataclass(frozen=True)
class Released:
    """What leaves: item name → value, and the photo as a data URI."""

    items: Mapping[str, object]
    portrait: str | None

    def names(self) -> Sequence[str]:
        """The names of all that leaves, for the access log."""
        names = [*self.items, *([PORTRAIT] if self.portrait else [])]
        return names if ALWAYS in names else [*names, ALWAYS]


def release(licence: ShownLicence, profile: Profile, scene: Scene, asked: frozenset[str] | None) -> Released:
    """Scene ∩ profile ∩ asked, in the scene's order, the live values; masked as the profile masks.

    The photo goes with either profile where the scene names it: it is there to be compared with a face that the
    verifier sees anyway, and no pass could carry it.
    """
    allowed = [name for name in scene.items[licence.type_code] if asked is None or name in asked]
    shown = profile_items(licence, profile)
    items = {name: shown[name] for name in allowed if name in shown}
    return Released(items, licence.portrait if PORTRAIT in allowed else None)


def profile_items(licence: ShownLicence, profile: Profile) -> Mapping[str, object]:
    """What a profile shows of a licence, by item name."""
    if profile is Profile.FACE:
        names = FACE_CLAIMS | licence.face_items
        return {name: value for name, value in licence.claims.items() if name in names}
    items = {name: value for name, value in licence.claims.items() if name in MINIMAL_CLAIMS}
    if licence.held_by_persons:
        items["holder_name"] = mask_name(str(items["holder_name"]))
        items["certificate_number"] = mask_number(str(items["certificate_number"]))
    return items
