"""A holder chooses the language of messages; erasing walks what still has a text

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None

_HAS_TEXT = sa.text('length(body) > 0')
_BRIEF = sa.text('useful_until IS NOT NULL AND length(body) > 0')


def upgrade() -> None:
    op.add_column('notification_preference', sa.Column('language', sa.String(length=2), nullable=True))
    op.drop_index('ix_outbox_message_closed', table_name='outbox_message')
    op.create_index(
        'ix_outbox_message_closed', 'outbox_message', ['closed_at'],
        postgresql_where=_HAS_TEXT, sqlite_where=_HAS_TEXT,
    )
    op.create_index(
        'ix_outbox_message_brief', 'outbox_message', ['useful_until'],
        postgresql_where=_BRIEF, sqlite_where=_BRIEF,
    )


def downgrade() -> None:
    op.drop_index('ix_outbox_message_brief', table_name='outbox_message')
    op.drop_index('ix_outbox_message_closed', table_name='outbox_message')
    op.create_index('ix_outbox_message_closed', 'outbox_message', ['closed_at'])
    op.drop_column('notification_preference', 'language')
