"""Authorization: grants that tokens belong to, and authorization requests

Access tokens live an hour at most; those given before are dropped, and their bearers ask anew.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('wallet_grant',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('client_id', sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
    sa.Column('instance_jkt', sqlmodel.sql.sqltypes.AutoString(length=43), nullable=True),
    sa.Column('holder_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('licence_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
    sa.Column('configuration_ids', sa.JSON(), nullable=False),
    sa.Column('credential_identifiers', sa.JSON(), nullable=False),
    sa.Column('jkt', sqlmodel.sql.sqltypes.AutoString(length=43), nullable=True),
    sa.Column('refresh_generation', sa.Integer(), nullable=False),
    sa.Column('refreshed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['holder_id'], ['holder.id'], ),
    sa.ForeignKeyConstraint(['licence_id'], ['licence.id'], ),
    sa.PrimaryKeyConstraint('id')
    )
    op.create_index(op.f('ix_wallet_grant_holder_id'), 'wallet_grant', ['holder_id'], unique=False)
    op.create_index(op.f('ix_wallet_grant_expires_at'), 'wallet_grant', ['expires_at'], unique=False)
    op.create_table('authorization_request',
    sa.Column('id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
    sa.Column('request_uri_hash', sa.LargeBinary(), nullable=False),
    sa.Column('stage', sqlmodel.sql.sqltypes.AutoString(length=9), nullable=False),
    sa.Column('client_id', sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
    sa.Column('instance_jkt', sqlmodel.sql.sqltypes.AutoString(length=43), nullable=True),
    sa.Column('redirect_uri', sa.Text(), nullable=False),
    sa.Column('state', sa.Text(), nullable=True),
    sa.Column('code_challenge', sqlmodel.sql.sqltypes.AutoString(length=43), nullable=False),
    sa.Column('dpop_jkt', sqlmodel.sql.sqltypes.AutoString(length=43), nullable=True),
    sa.Column('configuration_ids', sa.JSON(), nullable=False),
    sa.Column('detailed_ids', sa.JSON(), nullable=False),
    sa.Column('browser_hash', sa.LargeBinary(), nullable=True),
    sa.Column('sign_in_hash', sa.LargeBinary(), nullable=True),
    sa.Column('person_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
    sa.Column('holder_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
    sa.Column('code_hash', sa.LargeBinary(), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['person_id'], ['holder.id'], ),
    sa.ForeignKeyConstraint(['holder_id'], ['holder.id'], ),
    sa.PrimaryKeyConstraint('id'),
    sa.UniqueConstraint('request_uri_hash'),
    sa.UniqueConstraint('sign_in_hash'),
    sa.UniqueConstraint('code_hash')
    )
    op.create_index(
        op.f('ix_authorization_request_expires_at'), 'authorization_request', ['expires_at'], unique=False
    )
    op.drop_index(op.f('ix_access_token_expires_at'), table_name='access_token')
    op.drop_table('access_token')
    op.create_table('access_token',
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('client_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    sa.Column('grant_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('jkt', sqlmodel.sql.sqltypes.AutoString(length=43), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['client_id'], ['oauth_client.client_id'], ),
    sa.ForeignKeyConstraint(['grant_id'], ['wallet_grant.id'], ),
    sa.PrimaryKeyConstraint('token_hash')
    )
    op.create_index(op.f('ix_access_token_expires_at'), 'access_token', ['expires_at'], unique=False)
    op.create_index(op.f('ix_access_token_grant_id'), 'access_token', ['grant_id'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_access_token_grant_id'), table_name='access_token')
    op.drop_index(op.f('ix_access_token_expires_at'), table_name='access_token')
    op.drop_table('access_token')
    op.create_table('access_token',
    sa.Column('token_hash', sa.LargeBinary(), nullable=False),
    sa.Column('client_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    sa.Column('wallet_client_id', sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
    sa.Column('holder_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
    sa.Column('licence_id', sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
    sa.Column('configuration_id', sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
    sa.Column('scope', sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
    sa.Column('jkt', sqlmodel.sql.sqltypes.AutoString(length=43), nullable=True),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['client_id'], ['oauth_client.client_id'], ),
    sa.PrimaryKeyConstraint('token_hash')
    )
    op.create_index(op.f('ix_access_token_expires_at'), 'access_token', ['expires_at'], unique=False)
    op.drop_index(op.f('ix_authorization_request_expires_at'), table_name='authorization_request')
    op.drop_table('authorization_request')
    op.drop_index(op.f('ix_wallet_grant_expires_at'), table_name='wallet_grant')
    op.drop_index(op.f('ix_wallet_grant_holder_id'), table_name='wallet_grant')
    op.drop_table('wallet_grant')
