"""Outbox

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

_OPEN = sa.text("state IN ('pending', 'claimed')")
_FAILED = sa.text("state = 'failed'")
_SENT = sa.text("state = 'sent'")


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    op.add_column('outbox_message', sa.Column('fallbacks', text(), server_default='', nullable=False))
    op.add_column('outbox_message', sa.Column('urgent', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.add_column('outbox_message', sa.Column('useful_until', sa.DateTime(timezone=True), nullable=True))
    op.add_column('outbox_message', sa.Column('provider', text(), nullable=True))
    op.add_column('outbox_entry', sa.Column('muted', text(), server_default='', nullable=False))
    op.execute("UPDATE outbox_message SET fallbacks = 'sms' WHERE channel = 'push'")
    op.drop_index('ix_outbox_message_open', table_name='outbox_message')
    op.create_index('ix_outbox_message_open', 'outbox_message', ['channel', 'urgent', 'not_before'], unique=False, postgresql_where=_OPEN, sqlite_where=_OPEN)
    op.create_index('ix_outbox_message_failed', 'outbox_message', ['closed_at'], unique=False, postgresql_where=_FAILED, sqlite_where=_FAILED)
    op.create_index('ix_outbox_message_sent', 'outbox_message', ['provider', 'provider_ref'], unique=False, postgresql_where=_SENT, sqlite_where=_SENT)
    op.create_index('ix_outbox_message_closed', 'outbox_message', ['closed_at'], unique=False)
    op.create_table(
        'outbox_receipt',
        sa.Column('provider', text(), nullable=False),
        sa.Column('provider_ref', text(), nullable=False),
        sa.Column('delivered', sa.Boolean(), nullable=False),
        sa.Column('reason', text(), nullable=True),
        sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('provider', 'provider_ref'),
    )
    op.create_table(
        'provider_gate',
        sa.Column('name', text(length=32), nullable=False),
        sa.Column('tokens', sa.BigInteger(), nullable=False),
        sa.Column('refilled_at', sa.BigInteger(), nullable=False),
        sa.Column('granted', sa.Integer(), nullable=False),
        sa.Column('failures', sa.Integer(), nullable=False),
        sa.Column('rests_until', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('name'),
    )


def downgrade() -> None:
    op.drop_table('provider_gate')
    op.drop_table('outbox_receipt')
    for name in ('closed', 'sent', 'failed', 'open'):
        op.drop_index(f'ix_outbox_message_{name}', table_name='outbox_message')
    op.create_index('ix_outbox_message_open', 'outbox_message', ['not_before'], unique=False, postgresql_where=_OPEN, sqlite_where=_OPEN)
    with op.batch_alter_table('outbox_entry') as table:
        table.drop_column('muted')
    with op.batch_alter_table('outbox_message') as table:
        for name in ('provider', 'useful_until', 'urgent', 'fallbacks'):
            table.drop_column(name)
