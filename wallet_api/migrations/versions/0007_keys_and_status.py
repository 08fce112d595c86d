"""Keys and status

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
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


def downgrade() -> None:
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
