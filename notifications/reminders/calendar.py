"""Days before a day, as laws count them. Pure.

Working days are those of the People's Republic, with the State Council's yearly holidays and the weekends worked in
their place, from `chinesecalendar`. A year that is not yet announced counts Monday to Friday: its reminders may be some
days off by that measure, and are planned anew when a release of the library knows it.
"""

import calendar
from datetime import date, timedelta
from functools import lru_cache
from importlib import metadata

import chinese_calendar

from notifications.models import Lead, LeadUnit

HOLIDAYS_OF = metadata.version("chinesecalendar")

_FIRST_DAY, _LAST_DAY = date.min.toordinal(), date.max.toordinal()


def day_before(day: date, leads: tuple[Lead, ...]) -> date:
    """Go back from a day by one lead after the other. Clamped: year 9999 is in use as "no end"."""
    for lead in leads:
        match lead.unit:
            case LeadUnit.DAYS:
                day = date.fromordinal(max(_FIRST_DAY, min(day.toordinal() - lead.amount, _LAST_DAY)))
            case LeadUnit.MONTHS:
                day = _months_before(day, lead.amount)
            case LeadUnit.WORKING_DAYS:
                day = _working_days_before(day, lead.amount)
    return day


def is_working_day(day: date) -> bool:
    """Whether offices are open."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:  # a year without an announcement
        return day.weekday() < 5


def _months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or its last day when it is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    if year < date.min.year:
        return date.min
    if year > date.max.year:
        return date.max
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


@lru_cache(maxsize=4096)  # many licences end on the same days
def _working_days_before(day: date, amount: int) -> date:
    """The `amount`-th working day before a day, which itself does not count."""
    while amount > 0 and day > date.min:
        day -= timedelta(days=1)
        amount -= is_working_day(day)
    return day
