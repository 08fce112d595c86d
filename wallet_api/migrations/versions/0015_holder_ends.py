"""Holder ends

Revision ID: 0015
Revises: 0014
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None

_OF_ENDED_HOLDER = sa.text("holder_ended = true AND state IN ('01', '02', '06', '99')")


def upgrade() -> None:
    text = sqlmodel.sql.sqltypes.AutoString
    op.add_column('holder', sa.Column('ended', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('licence', sa.Column('holder_ended', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        'ix_licence_ended_holder',
        'licence',
        ['authority_code', 'holder_ended', 'updated_at', 'id'],
        postgresql_where=_OF_ENDED_HOLDER,
        sqlite_where=_OF_ENDED_HOLDER,
    )
    op.create_table(
        'holder_end',
        sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
        sa.Column('written_in', sa.BigInteger(), nullable=False),
        sa.Column('holder_id', text(length=32), nullable=False),
        sa.Column('source_system', text(length=64), nullable=False),
        sa.Column('source_version', sa.BigInteger(), nullable=False),
        sa.Column('ended_on_sealed', sa.LargeBinary(), nullable=True),
        sa.Column('row_digest', sa.LargeBinary(), nullable=False),
        sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(['holder_id'], ['holder.id']),
        sa.PrimaryKeyConstraint('position'),
        sa.UniqueConstraint('holder_id', 'source_system', 'source_version'),
    )
    op.create_index('ix_holder_end_feed', 'holder_end', ['written_in', 'position'])


def downgrade() -> None:
    op.drop_table('holder_end')
    op.drop_index('ix_licence_ended_holder', 'licence')
    op.drop_column('licence', 'holder_ended')
    op.drop_column('holder', 'ended')
