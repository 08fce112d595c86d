"""The outbox: what is to be said is written in the transaction of its cause, and handed over later.

    await outbox.post(session, [digest])        # in the caller's transaction
    await outbox.deliver(database)            # claim, send outside any transaction, close

A subject is told once on each channel (the key of `outbox_entry`), a holder gets one digest of a kind a day on each
channel (`dedupe_key`). Sending is at least once: a worker that dies after sending is followed by another that sends
again under the same idempotency key, and to the same provider where a channel has several.
"""
