"""Showing licences. `scenes` and `verifiers`: who may check what. `shows`: passes and live codes. `checks`: answers to
verifiers. `accesslog`: what holders are told of it. The formats are in `FORMAT.md`."""
