"""Ids of what this package writes."""

import secrets
from datetime import datetime


def new_id(now: datetime) -> str:
    """32 hex digits: milliseconds since 1970 (12), then 80 random bits. Later ids sort later: index pages stay warm."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"
