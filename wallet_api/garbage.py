"""How often a process looks for garbage."""

import gc


def collect_rarely() -> None:
    """Let the collector of reference cycles look less often, for the life of the process.

    Taking in a chunk makes some hundred thousand small objects that stay until the chunk is written, and none of them
    is in a cycle: by default they are looked through again and again, a tenth of an import's time. What is
    loaded by now (modules) is never looked at again.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # of some 100 bytes each: at most a few megabytes wait for the collector
