"""The life cycle of a licence as one table: which step leads from which state to which."""

from credentials.registry.errors import RowError
from credentials.registry.models import ALLOWED_FROM, CertState, IntakeRow, OperateType


def check_step(row: IntakeRow, state: CertState | None) -> None:
    """Refuse a step that the licence's present state does not allow.

    Args:
        state: the state of the record's newest licence, or None when there is none yet.

    Raises:
        RowError: `licence_unknown`, `licence_exists` or `step_not_allowed`.
    """
    if row.operate_type is OperateType.ISSUE:
        if state is not None:
            raise RowError("licence_exists", "operate_type", "this record has a licence; renew (02) or change (09) it")
        return
    if state is None:
        raise RowError("licence_unknown", "source_record_id", "no licence was issued (01) for this record")
    if state not in ALLOWED_FROM[row.operate_type]:
        raise RowError(
            "step_not_allowed",
            "operate_type",
            f"operate_type {row.operate_type.value} is not possible from state {state.value}",
        )
