"""Showing licences. `shows`: passes and the live code (`FORMAT.md`)."""
