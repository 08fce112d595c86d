"""Credential issuer

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def _instant(name: str, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, length: int, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def upgrade() -> None:
    with op.batch_alter_table('credential_offer') as table:
        table.alter_column('code_hash', existing_type=sa.LargeBinary(), nullable=True)
        table.alter_column('code_sealed', existing_type=sa.LargeBinary(), nullable=True)
        table.add_column(sa.Column('issuer_state_hash', sa.LargeBinary(), nullable=True))
        table.add_column(sa.Column('issuer_state_sealed', sa.LargeBinary(), nullable=True))
        table.add_column(sa.Column('pushed', sa.Boolean(), server_default=sa.false(), nullable=False))
        table.add_column(_instant('opened_at', nullable=True))
        table.create_unique_constraint('credential_offer_issuer_state_hash_key', ['issuer_state_hash'])
        table.create_index('ix_credential_offer_holder_id', ['holder_id'])
    with op.batch_alter_table('credential_offer') as table:
        table.alter_column('pushed', existing_type=sa.Boolean(), existing_nullable=False, server_default=None)
    op.create_table(
        'deferred_issuance',
        _text('id', 32),
        sa.Column('transaction_hash', sa.LargeBinary(), nullable=False),
        _text('grant_id', 64),
        _text('jkt', 43, nullable=True),
        _text('licence_id', 32),
        _text('authority_code', 18),
        sa.Column('keys', sa.JSON(), nullable=False),
        _text('state', 9),
        _text('decided_by', 64, nullable=True),
        _instant('decided_at', nullable=True),
        _instant('expires_at'),
        _instant('created_at'),
        sa.ForeignKeyConstraint(['licence_id'], ['licence.id']),
        sa.PrimaryKeyConstraint('id'),
        sa.UniqueConstraint('transaction_hash'),
    )
    op.create_index('ix_deferred_issuance_expires_at', 'deferred_issuance', ['expires_at'])
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        'ix_deferred_issuance_waiting',
        'deferred_issuance',
        ['authority_code', 'id'],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    op.create_table(
        'credential_notification',
        sa.Column('notification_hash', sa.LargeBinary(), nullable=False),
        _text('event', 20),
        _text('grant_id', 64),
        _text('licence_id', 32),
        _text('description', 500, nullable=True),
        _instant('received_at'),
        sa.ForeignKeyConstraint(['licence_id'], ['licence.id']),
        sa.PrimaryKeyConstraint('notification_hash', 'event'),
    )
    op.create_index('ix_credential_notification_licence_id', 'credential_notification', ['licence_id'])
    op.create_table(
        'request_encryption_key',
        sa.Column('period', sa.Integer(), autoincrement=False, nullable=False),
        _text('kid', 43),
        sa.Column('private_sealed', sa.LargeBinary(), nullable=False),
        _instant('created_at'),
        sa.PrimaryKeyConstraint('period'),
    )


def downgrade() -> None:
    op.drop_table('request_encryption_key')
    op.drop_table('credential_notification')
    op.drop_table('deferred_issuance')
    op.execute('DELETE FROM credential_offer WHERE code_hash IS NULL')
    with op.batch_alter_table('credential_offer') as table:
        table.drop_index('ix_credential_offer_holder_id')
        table.drop_constraint('credential_offer_issuer_state_hash_key', type_='unique')
        table.drop_column('opened_at')
        table.drop_column('pushed')
        table.drop_column('issuer_state_sealed')
        table.drop_column('issuer_state_hash')
        table.alter_column('code_sealed', existing_type=sa.LargeBinary(), nullable=False)
        table.alter_column('code_hash', existing_type=sa.LargeBinary(), nullable=False)
