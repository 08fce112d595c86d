"""Intake

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('intake_batch', sa.Column('duplicates', sa.Integer(), server_default='0', nullable=False))
    op.create_table(
        'intake_flag',
        sa.Column('batch_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column('line', sa.Integer(), nullable=False),
        sa.Column('code', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column('field', sqlmodel.sql.sqltypes.AutoString(length=128), nullable=False),
        sa.Column('detail', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(['batch_id'], ['intake_batch.id']),
        sa.PrimaryKeyConstraint('batch_id', 'line'),
    )


def downgrade() -> None:
    op.drop_table('intake_flag')
    with op.batch_alter_table('intake_batch') as batch:
        batch.drop_column('duplicates')
