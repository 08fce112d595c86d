"""Reminders

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        'reminder_rules',
        sa.Column('type_code', text(length=64), nullable=False),
        sa.Column('fingerprint', text(length=32), nullable=False),
        sa.Column('planned_to', text(length=32), nullable=True),
        sa.PrimaryKeyConstraint('type_code'),
    )
    op.create_table(
        'notification_preference',
        sa.Column('holder_id', text(length=32), nullable=False),
        sa.Column('muted', sa.JSON(), nullable=False),
        sa.Column('silent_types', sa.JSON(), nullable=False),
        sa.Column('changed_at', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('holder_id'),
    )
    op.create_index(op.f('ix_access_log_recorded_at'), 'access_log', ['recorded_at'], unique=False)
    op.create_index('ix_reminder_type_due', 'reminder', ['type_code', 'due_on'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_access_log_recorded_at'), table_name='access_log')
    op.drop_index('ix_reminder_type_due', table_name='reminder')
    op.drop_table('notification_preference')
    op.drop_table('reminder_rules')
