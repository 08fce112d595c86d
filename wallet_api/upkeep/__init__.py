"""Keeping a deployment sound: is it configured as it should be, and is all that it seals under the active key.

settings, findings = read_settings()                  # what is wrong, and how to mend it
findings = [*check_settings(settings), *await check_store(platform)]
reports = await reseal(database, protector)           # beside those who write
"""

from wallet_api.upkeep.configuration import Finding, Severity, check_settings, is_new, read_settings
from wallet_api.upkeep.configuration_store import check_store
from wallet_api.upkeep.resealing import UNKNOWN_KEY, ColumnReport, count_by_key, reseal

__all__ = [
    "UNKNOWN_KEY",
    "ColumnReport",
    "Finding",
    "Severity",
    "check_settings",
    "check_store",
    "count_by_key",
    "is_new",
    "read_settings",
    "reseal",
]
