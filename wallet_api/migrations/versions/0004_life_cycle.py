"""Life cycle

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("licence", sa.Column("predecessor_identifier", sa.String(length=128), nullable=True))
    op.execute(
        "UPDATE licence SET predecessor_identifier = "
        "(SELECT before.identifier FROM licence AS before WHERE before.id = licence.predecessor_id) "
        "WHERE predecessor_id IS NOT NULL"
    )
    op.create_table(
        "licence_representative",
        sa.Column("licence_id", sa.String(length=32), sa.ForeignKey("licence.id"), nullable=False),
        sa.Column("holder_id", sa.String(length=32), sa.ForeignKey("holder.id"), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("licence_id", "holder_id"),
    )
    op.create_index("ix_licence_representative_holder_id", "licence_representative", ["holder_id"])


def downgrade() -> None:
    op.drop_table("licence_representative")
    with op.batch_alter_table("licence") as licence:
        licence.drop_column("predecessor_identifier")
