"""What a client may be called."""

import re

CLIENT_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")  # a registered machine's
WALLET_ID = re.compile(r"[\x20-\x7e]{1,255}")  # RFC 6749 appendix A.1; a URL at most
