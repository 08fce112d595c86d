"""Checks

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('access_log',
    sa.Column('holder_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('sequence', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('recorded_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('check_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('client_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('organisation', sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
    sa.Column('system_name', sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
    sa.Column('licence_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('type_code', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('type_version', sa.Integer(), nullable=False),
    sa.Column('number_masked', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('items', sa.JSON(), nullable=False),
    sa.Column('scene_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    sa.Column('scene_version', sa.Integer(), nullable=True),
    sa.Column('offline', sa.Boolean(), nullable=False),
    sa.Column('note_sealed', sa.LargeBinary(), nullable=True),
    sa.Column('entry_hash', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('holder_id', 'sequence')
    )
    op.create_table('access_log_head',
    sa.Column('holder_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('sequence', sa.Integer(), nullable=False),
    sa.Column('entry_hash', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('holder_id')
    )
    op.create_table('check_journal_entry',
    sa.Column('client_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('entry_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('device', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('content_digest', sa.LargeBinary(), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('client_id', 'entry_id')
    )
    op.create_table('check_trace',
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('client_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('refusal', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    sa.Column('holder_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
    sa.Column('number_mark', sa.LargeBinary(), nullable=True),
    sa.Column('number_run', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('position')
    )
    op.create_index(op.f('ix_check_trace_at'), 'check_trace', ['at'], unique=False)
    op.create_index('ix_check_trace_mark', 'check_trace', ['client_id', 'number_mark'], unique=False)
    op.create_index('ix_check_trace_recent', 'check_trace', ['client_id', 'at'], unique=False)
    op.create_index('ix_check_trace_refusal', 'check_trace', ['client_id', 'at'], unique=False, postgresql_where=sa.text('refusal IS NOT NULL'), sqlite_where=sa.text('refusal IS NOT NULL'))
    op.create_table('held_show_key',
    sa.Column('session_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('licence_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('profile', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('key_and_pass_sealed', sa.LargeBinary(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('session_id', 'licence_id', 'profile')
    )
    op.create_index(op.f('ix_held_show_key_expires_at'), 'held_show_key', ['expires_at'], unique=False)
    op.create_table('pattern_report',
    sa.Column('position', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('client_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('kind', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('window_start', sa.DateTime(timezone=True), nullable=False),
    sa.Column('last_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('stopped', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('position'),
    sa.UniqueConstraint('client_id', 'kind', 'window_start')
    )
    op.create_table('scene',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('version', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('content', sa.JSON(), nullable=False),
    sa.Column('by_operator', sa.Boolean(), nullable=False),
    sa.Column('retired', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', 'version')
    )
    op.create_table('verifier',
    sa.Column('client_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
    sa.Column('organisation', sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
    sa.Column('system_name', sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
    sa.Column('scenes', sa.JSON(), nullable=False),
    sa.Column('holders_per_minute', sa.Integer(), nullable=False),
    sa.Column('refusals_per_10_minutes', sa.Integer(), nullable=False),
    sa.Column('registered_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('suspended_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('client_id')
    )
    op.create_index(op.f('ix_issuance_key_thumbprint'), 'issuance', ['key_thumbprint'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_issuance_key_thumbprint'), table_name='issuance')
    op.drop_table('verifier')
    op.drop_table('scene')
    op.drop_table('pattern_report')
    op.drop_index(op.f('ix_held_show_key_expires_at'), table_name='held_show_key')
    op.drop_table('held_show_key')
    op.drop_index('ix_check_trace_refusal', table_name='check_trace')
    op.drop_index('ix_check_trace_recent', table_name='check_trace')
    op.drop_index('ix_check_trace_mark', table_name='check_trace')
    op.drop_index(op.f('ix_check_trace_at'), table_name='check_trace')
    op.drop_table('check_trace')
    op.drop_table('check_journal_entry')
    op.drop_table('access_log_head')
    op.drop_table('access_log')
