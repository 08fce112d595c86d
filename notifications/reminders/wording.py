"""What a reminder says: the licence's type, its last day, when and where to renew. Never a number, never a name."""

from collections.abc import Sequence
from datetime import date

from notifications.models import Bilingual, Wording
from notifications.outbox.models import Digest, Entry
from notifications.reminders.models import Reminder

KIND = "licence_expiry"

_TITLE = Bilingual("证照到期提醒", "Licence expiry reminder")
_LEAD = Bilingual("您有{count}本证照需要留意有效期：", "The validity of {count} of your licences needs attention:")


def entry(reminder: Reminder, wording: Wording | None, day: date, muted: frozenset[str] = frozenset()) -> Entry:
    """The paragraph about one licence, as of the Shanghai day `day`.

    Args:
        wording: None for a type whose pack is gone; the paragraph then names no type.
    """
    last = reminder.plan.valid_until
    zh_date = f"{last.year}年{last.month}月{last.day}日"
    zh_name, en_name = (f"《{wording.name.zh}》", wording.name.en) if wording else ("一本证照", "licence")
    zh_whose, en_whose = ("贵单位", "Your organisation's") if wording and wording.of_organisations else ("您", "Your")
    if day > last:
        zh, en = f"{zh_whose}的{zh_name}已于{zh_date}到期。", f"{en_whose} {en_name} expired on {last.isoformat()}."
    else:
        zh, en = f"{zh_whose}的{zh_name}有效期至{zh_date}。", f"{en_whose} {en_name} is valid until {last.isoformat()}."
    if wording:
        zh += f"{wording.window.zh}（依据：{wording.source.zh}）"
        en += f" {wording.window.en} (Source: {wording.source.en})"
    return Entry(reminder.id, Bilingual(zh, en), muted)


def digest(holder_id: str, day: date, entries: Sequence[Entry], renew_at: Bilingual) -> Digest:
    """One holder's reminders of one day."""
    closing = Bilingual(f"办理入口：{renew_at.zh}", f"Renew at: {renew_at.en}")
    return Digest(holder_id, day, KIND, _TITLE, _LEAD, closing, tuple(entries))
