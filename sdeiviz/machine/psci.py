"""PSCI: what a guest asks for to switch cores and the machine on and off (Arm DEN0022).

Each function takes the calling vCPU, arguments in x1 to x3, and returns the value for x0, or None
where the caller gets no answer.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sdeiviz.abi import psci, smccc
from sdeiviz.abi.psci import Function, Result
from sdeiviz.abi.smccc import MASK32

if TYPE_CHECKING:
    from sdeiviz.machine.vcpu import Vcpu


def version(vcpu: "Vcpu") -> int:
    """PSCI_VERSION (5.1)."""
    return psci.VERSION_1_1


def cpu_suspend(vcpu: "Vcpu") -> int | None:
    """CPU_SUSPEND (5.4): x1 power_state, x2 entry, x3 context. It ends as a WFI does.

    Standby returns SUCCESS then; a core that was powered down starts at the entry, SDEI masked.
    """
    if not _argument(vcpu, 1) & psci.POWERDOWN:
        vcpu.wait()
        return Result.SUCCESS
    if not _is_code(vcpu, _argument(vcpu, 2)):
        return Result.INVALID_ADDRESS
    vcpu.wait(resume=(_argument(vcpu, 2), _argument(vcpu, 3)))
    return None


def cpu_off(vcpu: "Vcpu") -> None:
    """CPU_OFF (5.5): there is no way back but another vCPU's CPU_ON."""
    vcpu.power_off()


def cpu_on(vcpu: "Vcpu") -> int:
    """CPU_ON (5.6): x1 target, x2 entry, x3 context, which the target finds in x0."""
    target = vcpu.vm.find_vcpu(_argument(vcpu, 1))
    if target is None:
        return Result.INVALID_PARAMETERS
    if target.on:
        return Result.ALREADY_ON
    if not _is_code(vcpu, _argument(vcpu, 2)):
        return Result.INVALID_ADDRESS
    target.power_on(_argument(vcpu, 2), _argument(vcpu, 3))
    return Result.SUCCESS


def affinity_info(vcpu: "Vcpu") -> int:
    """AFFINITY_INFO (5.7): x1 target, x2 lowest affinity level; on if any core of it is."""
    level = _argument(vcpu, 2)
    if level > 3:
        return Result.INVALID_PARAMETERS
    shift = (0, 8, 16, 32)[level]
    wanted = _argument(vcpu, 1) >> shift
    cores = [other for other in vcpu.vm.vcpus if other.mpidr >> shift == wanted]
    if not cores:
        return Result.INVALID_PARAMETERS
    return psci.AFFINITY_ON if any(core.on for core in cores) else psci.AFFINITY_OFF


def migrate_info_type(vcpu: "Vcpu") -> int:
    """MIGRATE_INFO_TYPE (5.9)."""
    return psci.NO_MIGRATION


def system_off(vcpu: "Vcpu") -> None:
    """SYSTEM_OFF (5.10)."""
    vcpu.vm.power_off(vcpu)


def system_reset(vcpu: "Vcpu") -> None:
    """SYSTEM_RESET (5.11)."""
    vcpu.vm.request_reset(vcpu)


def features(vcpu: "Vcpu") -> int:
    """PSCI_FEATURES (5.15): x1 function."""
    known = (*Function, smccc.VERSION)
    return Result.SUCCESS if _argument(vcpu, 1) in known else Result.NOT_SUPPORTED


def _argument(vcpu: "Vcpu", number: int) -> int:
    """Return x1, x2 or x3, of which a call in the 32-bit form sees the lower half (DEN0028 3.1)."""
    value = vcpu.x[number]
    return value if vcpu.x[0] & smccc.CALL_64 else value & MASK32


def _is_code(vcpu: "Vcpu", address: int) -> bool:
    return not address & 3 and vcpu.vm.memory.contains(address)


CALLS: Final[dict[int, Callable[["Vcpu"], int | None]]] = {
    Function.VERSION: version,
    Function.CPU_SUSPEND: cpu_suspend,
    Function.CPU_SUSPEND_64: cpu_suspend,
    Function.CPU_OFF: cpu_off,
    Function.CPU_ON: cpu_on,
    Function.CPU_ON_64: cpu_on,
    Function.AFFINITY_INFO: affinity_info,
    Function.AFFINITY_INFO_64: affinity_info,
    Function.MIGRATE_INFO_TYPE: migrate_info_type,
    Function.SYSTEM_OFF: system_off,
    Function.SYSTEM_RESET: system_reset,
    Function.FEATURES: features,
}
