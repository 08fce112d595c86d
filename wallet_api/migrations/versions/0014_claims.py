"""Claims walk an index of what waits and an index of what is taken

Revision ID: 0014
Revises: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('pending', 'claimed')")
_PENDING = sa.text("state = 'pending'")
_CLAIMED = sa.text("state = 'claimed'")
_WAITING = ['channel', 'urgent', 'not_before']


def upgrade() -> None:
    op.create_index('ix_outbox_message_pending', 'outbox_message', _WAITING, postgresql_where=_PENDING, sqlite_where=_PENDING)
    op.create_index('ix_outbox_message_claimed', 'outbox_message', ['channel', 'not_before'], postgresql_where=_CLAIMED, sqlite_where=_CLAIMED)
    op.drop_index('ix_outbox_message_open', table_name='outbox_message')


def downgrade() -> None:
    op.create_index('ix_outbox_message_open', 'outbox_message', _WAITING, postgresql_where=_OPEN, sqlite_where=_OPEN)
    op.drop_index('ix_outbox_message_claimed', table_name='outbox_message')
    op.drop_index('ix_outbox_message_pending', table_name='outbox_message')
