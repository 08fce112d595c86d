"""The life cycle of a licence as one table: which step leads from which state to which.

operateType and certState are those of the type standards (MOHURD C 0293-2024 and its siblings).
"""

from collections.abc import Mapping

from credentials.registry.errors import RowError
from credentials.registry.models import CertState, OperateType

#: States that a licence may come to an end from: it is in force, or may come back.
ALIVE = frozenset({CertState.VALID, CertState.SUSPENDED, CertState.TRANSFERRING_OUT, CertState.OTHER})
_NO_LICENCE: frozenset[CertState | None] = frozenset({None})

#: (operateType, the certState that it leads to) → the states of the record's newest licence in which it may be taken.
#: 03, 04 and 07 (withdrawn, cancelled, revoked) are ends: nothing leads out of them.
STEPS: Mapping[tuple[OperateType, CertState], frozenset[CertState | None] | frozenset[CertState]] = {
    (OperateType.ISSUE, CertState.VALID): _NO_LICENCE,
    (OperateType.TRANSFER_IN, CertState.VALID): _NO_LICENCE,
    (OperateType.RENEW, CertState.VALID): frozenset({CertState.VALID, CertState.LAPSED}),
    (OperateType.CHANGE, CertState.VALID): frozenset({CertState.VALID}),
    (OperateType.SUSPEND, CertState.SUSPENDED): frozenset({CertState.VALID}),
    (OperateType.RESUME, CertState.VALID): frozenset({CertState.SUSPENDED}),
    (OperateType.EXPIRE, CertState.LAPSED): ALIVE,
    (OperateType.END, CertState.WITHDRAWN): ALIVE | {CertState.LAPSED},
    (OperateType.END, CertState.CANCELLED): ALIVE | {CertState.LAPSED},  # what ran out is cancelled: 行政许可法 art. 70
    (OperateType.END, CertState.REVOKED): ALIVE,
    (OperateType.END, CertState.TRANSFERRING_OUT): frozenset({CertState.VALID}),
    (OperateType.CANCEL_TRANSFER_OUT, CertState.VALID): frozenset({CertState.TRANSFERRING_OUT}),
    (OperateType.OTHER, CertState.OTHER): frozenset({CertState.VALID, CertState.SUSPENDED}),
    (OperateType.OTHER, CertState.VALID): frozenset({CertState.OTHER}),
}

#: Steps that make a new version with content of its own. The licence that it takes the place of is left lapsed, or
#: cancelled when it was transferred: the record of an authority that gave it away has nothing left to renew.
NEW_VERSION = frozenset({OperateType.ISSUE, OperateType.RENEW, OperateType.CHANGE, OperateType.TRANSFER_IN})
#: Steps that a holder may ask the reason of. For 07 it is the certStatusDescription.
NEEDS_REASON = frozenset({OperateType.SUSPEND, OperateType.END, OperateType.RESUME, OperateType.OTHER})


def targets(operate_type: OperateType) -> tuple[CertState, ...]:
    """The states that a step can lead to; a row must say which when there are several."""
    return tuple(target for step, target in STEPS if step is operate_type)


def check_step(operate_type: OperateType, target: CertState, state: CertState | None) -> None:
    """Refuse a step that the licence's present state does not allow.

    Args:
        state: the state of the record's newest licence, or None when there is none yet.

    Raises:
        RowError: `licence_unknown`, `licence_exists` or `step_not_allowed`.
    """
    allowed = STEPS[operate_type, target]
    if state in allowed:
        return
    if state is None:
        raise RowError(
            "licence_unknown", "source_record_id", "no licence was issued (01) or transferred in (08) for this record"
        )
    if allowed is _NO_LICENCE:
        raise RowError("licence_exists", "operate_type", "this record has a licence; renew (02) or change (09) it")
    raise RowError(
        "step_not_allowed",
        "operate_type",
        f"operate_type {operate_type.value} does not lead from state {state.value} to {target.value}",
    )
