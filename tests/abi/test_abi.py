"""Numbers and decodings of the interfaces, typed from their documents."""

import pytest

from sdeiviz.abi import esr, psci, pstate, sdei, smccc

# -- SDEI ------------------------------------------------------------------------------------------

CALLS = {
    "VERSION": 0xC400_0020,
    "EVENT_REGISTER": 0xC400_0021,
    "EVENT_ENABLE": 0xC400_0022,
    "EVENT_DISABLE": 0xC400_0023,
    "EVENT_CONTEXT": 0xC400_0024,
    "EVENT_COMPLETE": 0xC400_0025,
    "EVENT_COMPLETE_AND_RESUME": 0xC400_0026,
    "EVENT_UNREGISTER": 0xC400_0027,
    "EVENT_STATUS": 0xC400_0028,
    "EVENT_GET_INFO": 0xC400_0029,
    "EVENT_ROUTING_SET": 0xC400_002A,
    "PE_MASK": 0xC400_002B,
    "PE_UNMASK": 0xC400_002C,
    "INTERRUPT_BIND": 0xC400_002D,
    "INTERRUPT_RELEASE": 0xC400_002E,
    "EVENT_SIGNAL": 0xC400_002F,
    "FEATURES": 0xC400_0030,
    "PRIVATE_RESET": 0xC400_0031,
    "SHARED_RESET": 0xC400_0032,
}


def test_calls() -> None:
    assert {call.name: call.function for call in sdei.Call} == CALLS
    for name, function in CALLS.items():
        assert sdei.call_of(function) is sdei.Call[name]


@pytest.mark.parametrize(
    "function", [0, 0xC400_001F, 0xC400_0033, 0xC400_003F, 0xC400_0040, 0x8400_0020, 1 << 32]
)
def test_what_is_no_call(function: int) -> None:
    assert sdei.call_of(function) is None


def test_the_number_of_arguments() -> None:
    assert {call.name: len(names) for call, names in sdei.ARGUMENTS.items()} == {
        "VERSION": 0,
        "EVENT_REGISTER": 5,
        "EVENT_ENABLE": 1,
        "EVENT_DISABLE": 1,
        "EVENT_CONTEXT": 1,
        "EVENT_COMPLETE": 1,
        "EVENT_COMPLETE_AND_RESUME": 1,
        "EVENT_UNREGISTER": 1,
        "EVENT_STATUS": 1,
        "EVENT_GET_INFO": 2,
        "EVENT_ROUTING_SET": 3,
        "PE_MASK": 0,
        "PE_UNMASK": 0,
        "INTERRUPT_BIND": 1,
        "INTERRUPT_RELEASE": 1,
        "EVENT_SIGNAL": 2,
        "FEATURES": 1,
        "PRIVATE_RESET": 0,
        "SHARED_RESET": 0,
    }


def test_codes() -> None:
    assert {result.name: int(result) for result in sdei.Result} == {
        "SUCCESS": 0,
        "NOT_SUPPORTED": -1,
        "INVALID_PARAMETERS": -2,
        "DENIED": -3,
        "PENDING": -5,
        "OUT_OF_RESOURCE": -10,
    }
    assert [int(bit) for bit in (sdei.Status.REGISTERED, sdei.Status.ENABLED)] == [1, 2]
    assert int(sdei.Status.RUNNING) == 4
    assert [int(info) for info in sdei.Info] == [0, 1, 2, 3, 4]
    assert [info.name for info in sdei.Info] == [
        "TYPE",
        "SIGNALED",
        "PRIORITY",
        "ROUTING_MODE",
        "ROUTING_AFFINITY",
    ]
    assert (int(sdei.Feature.BIND_SLOTS), int(sdei.Feature.RELATIVE_MODE)) == (0, 1)
    assert (sdei.FIRST_FUNCTION, sdei.LAST_FUNCTION) == (0xC400_0020, 0xC400_003F)
    assert (sdei.SW_SIGNALED_EVENT, sdei.ASYNC_PF_EVENT) == (0, 1)
    assert (sdei.CONTEXT_REGISTERS, sdei.REGISTER_RELATIVE_MODE) == (18, 2)
    assert sdei.VENDOR_KVM == 0x564B_CAA9
    assert (int(sdei.RoutingMode.RM_ANY), int(sdei.RoutingMode.RM_PE)) == (0, 1)
    assert (sdei.REGISTER_RM_PE, sdei.AFFINITY) == (1, 0xFF_00FF_FFFF)


@pytest.mark.parametrize(
    ("intid", "ppi", "spi"),
    [
        (0, False, False),
        (15, False, False),
        (16, True, False),
        (31, True, False),
        (32, False, True),
        (1019, False, True),
        (1020, False, False),
        (1023, False, False),
        (1055, False, False),
        (1056, True, False),
        (1119, True, False),
        (1120, False, False),
        (4095, False, False),
        (4096, False, True),
        (5119, False, True),
        (5120, False, False),
        (8192, False, False),
    ],
)
def test_interrupts(intid: int, ppi: bool, spi: bool) -> None:
    assert (sdei.is_ppi(intid), sdei.is_spi(intid)) == (ppi, spi)


# -- SMCCC and PSCI --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "owner"),
    [
        (0x8000_0000, 0),
        (0xC400_0020, 4),
        (0x8400_0000, 4),
        (0xC500_0020, 5),
        (0x8600_FF01, 6),
        (0x3F00_0000, 63),
        (0xC0FF_FFFF, 0),
    ],
)
def test_owner(function: int, owner: int) -> None:
    assert smccc.owner(function) == owner


@pytest.mark.parametrize(
    ("value", "signed"),
    [
        (0, 0),
        (1, 1),
        ((1 << 63) - 1, (1 << 63) - 1),
        (1 << 63, -(1 << 63)),
        (0xFFFF_FFFF_FFFF_FFFD, -3),
        ((1 << 64) - 1, -1),
        (0xFFFF_FFFD, 0xFFFF_FFFD),
    ],
)
def test_signed(value: int, signed: int) -> None:
    assert smccc.signed(value) == signed


def test_smccc_and_psci_numbers() -> None:
    assert (smccc.FAST_CALL, smccc.CALL_64) == (0x8000_0000, 0x4000_0000)
    assert (smccc.MASK32, smccc.MASK64) == (0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF)
    assert (smccc.VERSION, smccc.ARCH_FEATURES) == (0x8000_0000, 0x8000_0001)
    assert smccc.NOT_SUPPORTED == -1
    assert smccc.VERSION_1_1 == 0x0001_0001
    assert [int(owner) for owner in smccc.Owner] == [0, 1, 2, 3, 4, 5, 6]
    assert {function.name: int(function) for function in psci.Function} == {
        "VERSION": 0x8400_0000,
        "CPU_SUSPEND": 0x8400_0001,
        "CPU_OFF": 0x8400_0002,
        "CPU_ON": 0x8400_0003,
        "AFFINITY_INFO": 0x8400_0004,
        "MIGRATE_INFO_TYPE": 0x8400_0006,
        "SYSTEM_OFF": 0x8400_0008,
        "SYSTEM_RESET": 0x8400_0009,
        "FEATURES": 0x8400_000A,
        "CPU_SUSPEND_64": 0xC400_0001,
        "CPU_ON_64": 0xC400_0003,
        "AFFINITY_INFO_64": 0xC400_0004,
    }
    assert [(result.name, int(result)) for result in psci.Result] == [
        ("SUCCESS", 0),
        ("NOT_SUPPORTED", -1),
        ("INVALID_PARAMETERS", -2),
        ("ALREADY_ON", -4),
        ("INVALID_ADDRESS", -9),
    ]
    assert (psci.AFFINITY_ON, psci.AFFINITY_OFF, psci.NO_MIGRATION) == (0, 1, 2)
    assert psci.POWERDOWN == 1 << 16
    assert psci.VERSION_1_1 == 0x0001_0001
    assert list(psci.PSCI_0_1) == [0x95C1_BA5E, 0x95C1_BA5F, 0x95C1_BA60, 0x95C1_BA61]


# -- PSTATE ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "level", "mode", "text"),
    [
        (0x6000_03C5, 1, "EL1h", "nZCv DAIF EL1h"),
        (0x0000_0000, 0, "EL0t", "nzcv daif EL0t"),
        (0x8000_0004, 1, "EL1t", "Nzcv daif EL1t"),
        (0x1000_0200, 0, "EL0t", "nzcV Daif EL0t"),
        (0x0000_0108, 2, "EL2t", "nzcv dAif EL2t"),
        (0x2000_0089, 2, "EL2h", "nzCv daIf EL2h"),
        (0x4000_0040, 0, "EL0t", "nZcv daiF EL0t"),
        (0x0000_0010, 0, "AArch32", "nzcv daif AArch32"),
        (0x0000_001F, 0, "AArch32", "nzcv daif AArch32"),
        (0x0000_000D, 3, "M=0b1101", "nzcv daif M=0b1101"),
    ],
)
def test_pstate(value: int, level: int, mode: str, text: str) -> None:
    assert pstate.exception_level(value) == level
    assert pstate.mode_name(value) == mode
    assert pstate.describe(value) == text


def test_pstate_bits() -> None:
    assert (pstate.D, pstate.A, pstate.I, pstate.F) == (0x200, 0x100, 0x80, 0x40)
    assert (pstate.DAIF, pstate.NZCV, pstate.MODE) == (0x3C0, 0xF000_0000, 0x1F)
    assert (pstate.SS, pstate.IL, pstate.NRW) == (0x20_0000, 0x10_0000, 0x10)
    assert (pstate.EL0T, pstate.EL1T, pstate.EL1H) == (0, 4, 5)
    assert tuple(1 << n for n in range(25, 21, -1)) == (
        pstate.TCO,
        pstate.DIT,
        pstate.UAO,
        pstate.PAN,
    )
    assert (pstate.ALLINT, pstate.SSBS, pstate.BTYPE) == (0x2000, 0x1000, 0xC00)
    assert (pstate.UINJ, pstate.PACM, pstate.EXLOCK, pstate.PM) == (
        1 << 36,
        1 << 35,
        1 << 34,
        1 << 32,
    )


def test_a_cortex_a72_has_none_of_the_features() -> None:
    assert pstate.PeFeatures() == pstate.PeFeatures(False, False, False, False, False, False)


# -- ESR -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("syndrome", "number", "text"),
    [
        (0x0200_0000, 0x00, "undefined instruction"),
        (0x0600_0000, 0x01, "WFI or WFE"),
        (0x5600_0003, 0x15, "SVC #0x3"),
        (0x5A00_FFFF, 0x16, "HVC #0xffff"),
        (0x5E00_0000, 0x17, "SMC #0x0"),
        (0x6232_1803, 0x18, "system register access"),
        (0x8200_0006, 0x20, "instruction abort from EL0, translation fault at level 2"),
        (0x8600_000F, 0x21, "instruction abort, permission fault at level 3"),
        (0x8A00_0000, 0x22, "PC alignment fault"),
        (0x9200_0045, 0x24, "data abort from EL0, translation fault at level 1 on a write"),
        (0x9600_0010, 0x25, "data abort, external abort on a read"),
        (0x9600_0050, 0x25, "data abort, external abort on a write"),
        (0x9600_0015, 0x25, "data abort, external abort on a walk at level 1 on a read"),
        (0x9600_0021, 0x25, "data abort, alignment fault on a read"),
        (0x9600_0003, 0x25, "data abort, address size fault at level 3 on a read"),
        (0x9600_0009, 0x25, "data abort, access flag fault at level 1 on a read"),
        (0x9600_003F, 0x25, "data abort, fault status 0x3f on a read"),
        (0x9A00_0000, 0x26, "SP alignment fault"),
        (0xF200_0800, 0x3C, "BRK #0x800"),
        (0xFE00_0000, 0x3F, "exception class 0x3f"),
    ],
)
def test_syndromes(syndrome: int, number: int, text: str) -> None:
    assert esr.exception_class(syndrome) == number
    assert esr.describe(syndrome) == text


def test_syndrome_bits() -> None:
    assert (esr.IL, esr.ISV, esr.WNR) == (0x0200_0000, 0x0100_0000, 0x40)
    assert (esr.S1PTW, esr.CM) == (0x80, 0x100)
    assert (esr.EXTERNAL_ABORT, esr.EXTERNAL_ABORT_ON_WALK) == (0x10, 0x14)
