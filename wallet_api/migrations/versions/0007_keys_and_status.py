"""Keys and status

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('status_range',
    sa.Column('list_id', sa.Integer(), nullable=False),
    sa.Column('range_end', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('first_free', sa.Integer(), nullable=False),
    sa.Column('decoys', sa.Boolean(), nullable=False),
    sa.CheckConstraint('first_free >= 0 AND first_free <= range_end', name='ck_status_range'),
    sa.ForeignKeyConstraint(['list_id'], ['status_list.list_id'], ),
    sa.PrimaryKeyConstraint('list_id', 'range_end')
    )
    # What an older list had left becomes one range; it has no decoys.
    op.execute(
        'INSERT INTO status_range (list_id, range_end, first_free, decoys)'
        ' SELECT list_id, size, allocated, false FROM status_list WHERE allocated < size'
    )
    with op.batch_alter_table('status_list') as batch:
        batch.drop_constraint('ck_status_list_allocated', type_='check')
        batch.drop_column('allocated')
        batch.add_column(sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table('signing_key') as batch:
        batch.add_column(sa.Column('anchor_sha256', sqlmodel.sql.sqltypes.AutoString(), server_default='', nullable=False))
    op.create_table('certificate_request',
    sa.Column('key_reference', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('purpose', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('authority_code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('authority_name', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('licence_types', sa.JSON(), nullable=False),
    sa.Column('public_key_sha256', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key_reference'),
    sa.UniqueConstraint('public_key_sha256')
    )
    op.create_table('trust_anchor',
    sa.Column('sha256', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('pem', sa.Text(), nullable=False),
    sa.Column('added_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('sha256')
    )


def downgrade() -> None:
    op.drop_table('trust_anchor')
    op.drop_table('certificate_request')
    # The older program knows no outside anchors: what leads to one is retired, and it makes keys of its own.
    op.execute("UPDATE signing_key SET state = 'retired' WHERE anchor_sha256 <> ''")
    with op.batch_alter_table('signing_key') as batch:
        batch.drop_column('anchor_sha256')
    # Full, as far as the older program is concerned: it opens new lists, and gives no index out twice.
    op.execute('DELETE FROM status_entry WHERE list_id IN (SELECT list_id FROM status_list WHERE retired_at IS NOT NULL)')
    with op.batch_alter_table('status_list') as batch:
        batch.drop_column('retired_at')
        batch.add_column(sa.Column('allocated', sa.Integer(), nullable=False, server_default=sa.text('0')))
    op.execute('UPDATE status_list SET allocated = size')
    with op.batch_alter_table('status_list') as batch:
        batch.alter_column('allocated', server_default=None)
        batch.create_check_constraint('ck_status_list_allocated', 'allocated >= 0 AND allocated <= size')
    op.drop_table('status_range')
