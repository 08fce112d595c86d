"""Reminders: which holder is to be told what on which day, kept in step with the licence store.

    async with database.transaction() as session:
        await reminders.follow(session)       # plan and withdraw after licence changes
    async with database.transaction() as session:
        await reminders.queue_due(session)    # hand what is due to the outbox

Both are safe to run at once in several processes and to repeat.
"""
