"""Inbox

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'push_device',
        sa.Column('id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column('holder_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column('language', sqlmodel.sql.sqltypes.AutoString(length=2), nullable=False),
        sa.Column('address_index', sa.LargeBinary(), nullable=False),
        sa.Column('address_sealed', sa.LargeBinary(), nullable=False),
        sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('id'),
        sa.UniqueConstraint('address_index'),
    )
    op.create_index(op.f('ix_push_device_holder_id'), 'push_device', ['holder_id'], unique=False)
    op.add_column('inbox_message', sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('inbox_message') as table:
        table.drop_column('deleted_at')
    op.drop_index(op.f('ix_push_device_holder_id'), table_name='push_device')
    op.drop_table('push_device')
