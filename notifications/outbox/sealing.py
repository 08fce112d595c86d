"""Texts of a digest at rest, and the message a holder reads.

Values are sealed for the digest, not for one row: the message on the next channel carries the same sealed values,
so that falling back is a copy inside the database and needs no key.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from notifications.models import Bilingual, Language
from notifications.outbox.models import Digest, Draft
from notifications.ports import FieldCipher


@dataclass(frozen=True)
class SealedEntry:
    """One paragraph, and the channels on which it is not told."""

    subject: str
    body: bytes
    muted: frozenset[str]


@dataclass(frozen=True)
class SealedDigest:
    """A digest's title, lead and closing in `body`, and its entries."""

    digest_id: str
    body: bytes
    entries: tuple[SealedEntry, ...]


def seal(cipher: FieldCipher, digest: Digest) -> SealedDigest:
    """Seal a digest's texts, in both languages, under a new digest id."""
    digest_id = secrets.token_hex(16)
    frame = json.dumps([_pair(text) for text in (digest.title, digest.lead, digest.closing)])
    entries = tuple(
        SealedEntry(
            entry.subject,
            cipher.seal(json.dumps(_pair(entry.text)).encode(), _entry_context(digest_id, entry.subject)),
            entry.muted,
        )
        for entry in digest.entries
    )
    return SealedDigest(digest_id, cipher.seal(frame.encode(), _body_context(digest_id)), entries)


def compose(
    cipher: FieldCipher, draft: Draft, entries: Sequence[tuple[str, bytes]], language: Language
) -> tuple[str, str]:
    """Title and text of a message about `entries`, which are (subject, sealed text).

    Raises:
        Exception: the cipher's own, when a value does not open.
    """
    frame = json.loads(cipher.open(draft.body, _body_context(draft.digest_id)))
    title, lead, closing = (Bilingual(*pair).to(language) for pair in frame)
    lines = []
    for subject, sealed in entries:
        pair = json.loads(cipher.open(sealed, _entry_context(draft.digest_id, subject)))
        lines.append(Bilingual(*pair).to(language))
    if len(lines) > 1:
        lines = [lead.replace("{count}", str(len(lines))), *(f"{n}. {line}" for n, line in enumerate(lines, 1))]
    return title, "\n".join(filter(None, [*lines, closing]))


def _pair(text: Bilingual) -> tuple[str, str]:
    return text.zh, text.en


def _body_context(digest_id: str) -> str:
    return f"outbox_message.body:{digest_id}"


def _entry_context(digest_id: str, subject: str) -> str:
    return f"outbox_entry.body:{digest_id}:{subject}"
