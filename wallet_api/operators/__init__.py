"""What operators do to verifiers, scenes, reminders and registers, by API and by command, each step noted.

    operators = Operators(verifiers, scenes, oauth, reminder_switches, holder_ends, clock)
    await operators.suspend(session, by="city-desk", client_id="sh-traffic", reason="key lost")

The note of a step stands in the transaction of the step; what registers report is noted in numbers. Operators
themselves are machines like departments' systems (`client_credentials`, scope `platform:operate`) and are registered by
command only.
"""

from wallet_api.operators.service import Action, Operators

__all__ = ["Action", "Operators"]
