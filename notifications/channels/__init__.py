"""Ways to reach a holder. Each has a `name` and `send(message, contact)`, see `notifications.ports.Channel`.

page = await inbox.list(session, holder_id)           # newest first
await inbox.mark_read(session, holder_id, page.messages[0].id)
"""
