"""The devices that take push: registered by wallets, forgotten when the provider no longer knows them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from notifications.channels.repository import DeviceRepository
from notifications.errors import NotificationsError
from notifications.models import Device, DeviceKind, Language
from notifications.ports import AddressProtector, Clock

MAX_DEVICES = 20  # of one holder: a family's phones and browsers; what is registered beyond drops the longest unseen


@dataclass(frozen=True)
class RegisteredDevice:
    """A device as its holder sees it; `seen_at` is when the wallet last registered it."""

    id: str
    kind: DeviceKind
    language: Language
    seen_at: datetime
    device: Device = field(repr=False)


class Devices:
    """Registers, lists and forgets devices. Addresses are sealed, and found again by a blind index."""

    def __init__(self, clock: Clock, protector: AddressProtector) -> None:
        self._clock = clock
        self._protector = protector

    async def register(self, session: AsyncSession, holder_id: str, device: Device, language: Language) -> str:
        """Note that the holder's wallet takes push at this address; gives the device's id.

        An address belongs to whoever registered it last: a phone that changes hands does not carry messages of its
        last owner. Registering again refreshes it.
        """
        index = self._index(device)
        values = {
            "holder_id": holder_id,
            "kind": device.kind.value,
            "language": language,
            "address_index": index,
            "address_sealed": self._protector.seal(device.address.encode(), _context(index)),
            "seen_at": self._clock.now(),
        }
        repository = DeviceRepository(session)
        device_id = await repository.save(values)
        await repository.keep_newest(holder_id, MAX_DEVICES)
        return device_id

    async def of_holders(
        self, session: AsyncSession, holder_ids: Collection[str]
    ) -> Mapping[str, tuple[RegisteredDevice, ...]]:
        """Holder → devices, the one seen last first; who has none is left out."""
        found: dict[str, tuple[RegisteredDevice, ...]] = {}
        for row in await DeviceRepository(session).of_holders(holder_ids):
            found[row.holder_id] = (*found.get(row.holder_id, ()), self._opened(row))
        return found

    async def of_holder(self, session: AsyncSession, holder_id: str) -> tuple[RegisteredDevice, ...]:
        """A holder's devices, the one seen last first."""
        return (await self.of_holders(session, [holder_id])).get(holder_id, ())

    async def remove(self, session: AsyncSession, holder_id: str, device_id: str) -> None:
        """Take a device out.

        Raises:
            NotificationsError: `device_not_found` for an unknown or another holder's device.
        """
        if not await DeviceRepository(session).remove(holder_id, device_id):
            raise NotificationsError("device_not_found", "no such device for this holder")

    async def forget(self, session: AsyncSession, device: Device) -> None:
        """Take out an address that its provider no longer knows, whoever registered it."""
        await DeviceRepository(session).forget(self._index(device))

    def _index(self, device: Device) -> bytes:
        return self._protector.blind_index(f"push_device:{device.kind.value}", device.address)

    def _opened(self, row: Any) -> RegisteredDevice:
        kind = DeviceKind(row.kind)
        address = self._protector.open(row.address_sealed, _context(row.address_index)).decode()
        return RegisteredDevice(row.id, kind, row.language, row.seen_at, Device(kind, address))


def _context(address_index: bytes) -> str:
    return f"push_device.address:{address_index.hex()}"
