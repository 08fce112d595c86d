"""What arrived before its worker had closed it is closed, so that its text is erased in its time

Revision ID: 0017
Revises: 0016
"""

from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE outbox_message SET closed_at = delivered_at WHERE state = 'delivered' AND closed_at IS NULL")


def downgrade() -> None:
    pass
