"""Departments: idempotency keys, rate windows, pages of a department's own

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        'idempotent_request',
        sa.Column('key_hash', sa.LargeBinary(), nullable=False),
        sa.Column('request_hash', sa.LargeBinary(), nullable=False),
        sa.Column('attempt', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column('answer_sealed', sa.LargeBinary(), nullable=True),
        sa.Column('leased_until', sa.DateTime(timezone=True), nullable=False),
        sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('key_hash'),
    )
    op.create_index(op.f('ix_idempotent_request_expires_at'), 'idempotent_request', ['expires_at'])
    op.create_table(
        'rate_window',
        sa.Column('caller_hash', sa.LargeBinary(), nullable=False),
        sa.Column('calls', sa.Integer(), nullable=False),
        sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('caller_hash'),
    )
    op.create_index('ix_licence_authority', 'licence', ['authority_code', 'updated_at', 'id'])
    op.create_index('ix_intake_batch_source', 'intake_batch', ['source_system', 'id'])


def downgrade() -> None:
    op.drop_index('ix_intake_batch_source', table_name='intake_batch')
    op.drop_index('ix_licence_authority', table_name='licence')
    op.drop_table('rate_window')
    op.drop_index(op.f('ix_idempotent_request_expires_at'), table_name='idempotent_request')
    op.drop_table('idempotent_request')
