"""Reminder switches

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        'reminder_switched_off',
        sa.Column('type_code', text(length=64), nullable=False),
        sa.Column('since', sa.DateTime(timezone=True), nullable=False),
        sa.Column('reason', text(length=200), nullable=False),
        sa.PrimaryKeyConstraint('type_code'),
    )


def downgrade() -> None:
    op.drop_table('reminder_switched_off')
