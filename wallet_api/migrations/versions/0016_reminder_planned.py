"""What is planned stands in a table of its own, so that no index of the reminders knows their state

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None

_PLANNED = sa.text("state = 'planned'")


def upgrade() -> None:
    op.create_table('reminder_planned',
    sa.Column('due_on', sa.Date(), nullable=False),
    sa.Column('holder_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('reminder_id', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.Column('type_code', sqlmodel.sql.sqltypes.AutoString(), nullable=False),
    sa.PrimaryKeyConstraint('due_on', 'holder_id', 'reminder_id')
    )
    op.execute(
        "INSERT INTO reminder_planned (due_on, holder_id, reminder_id, type_code) "
        "SELECT due_on, holder_id, id, type_code FROM reminder WHERE state = 'planned' ORDER BY due_on, holder_id, id"
    )
    op.drop_index('ix_reminder_planned', table_name='reminder')
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('ALTER TABLE reminder SET (fillfactor = 90)')


def downgrade() -> None:
    if op.get_bind().dialect.name == 'postgresql':
        op.execute('ALTER TABLE reminder RESET (fillfactor)')
    op.create_index('ix_reminder_planned', 'reminder', ['due_on', 'holder_id'], postgresql_where=_PLANNED, sqlite_where=_PLANNED)
    op.drop_table('reminder_planned')
