"""Mistakes in the devices: interrupt controllers, one-shot timer, bus, device tree."""

from tests.mutants.mutation import Mutation

GIC = "sdeiviz/machine/gic.py"
GICV2 = "sdeiviz/machine/gicv2.py"
GICV3 = "sdeiviz/machine/gicv3.py"
ONE_SHOT = "sdeiviz/machine/oneshot.py"
OWNED = "sdeiviz/machine/interrupts.py"
BUS = "sdeiviz/machine/bus.py"
TREE = "sdeiviz/machine/devicetree.py"

MUTATIONS = [
    # -- what both controllers do
    Mutation(
        GIC,
        "return self.latch | self.line & ~self.edge",
        "return self.latch | self.line",
        "an edge is pending while its line is high",
    ),
    Mutation(
        GIC,
        "pending = self.latch | self.line & ~self.edge",
        "pending = self.latch | self.line",
        "an edge is signalled while its line is high",
    ),
    Mutation(
        GIC,
        "return priority < self.mask and",
        "return priority <= self.mask and",
        "the mask lets its own priority through",
    ),
    Mutation(
        GIC,
        "self.binary_point[1] - 1 if group",
        "self.binary_point[1] if group",
        "group 1 preempts more coarsely",
    ),
    Mutation(
        GIC,
        "if its_own < priority:",
        "if highest == SPURIOUS:",
        "the lowest number first, whatever its priority",
    ),
    Mutation(
        GIC,
        "        if not bank.owned >> intid & 1:\n            bank.active",
        "        if True:\n            bank.active",
        "the guest ends a handler's interrupt",
    ),
    Mutation(GIC, "            bank.enabled &= keep\n", "", "an interrupt given back is enabled"),
    Mutation(GIC, "            bank.latch &= keep\n", "", "an interrupt given back is pending"),
    Mutation(GIC, " & ~bank.owned & ~_SGIS", " & ~bank.owned", "SGIs can be levels"),
    Mutation(GIC, ' | {"line": bank.line}', "", "a reset lowers a device's line"),
    Mutation(
        GIC,
        "        if not cpu.split:\n            self._deactivate(intid, pe)\n",
        "        self._deactivate(intid, pe)\n",
        "EOIR deactivates although DIR will",
    ),
    # -- GICv2
    Mutation(
        GICV2,
        "~(1 << pe), 1 << pe, 0)[filtered]",
        "1 << pe, ~(1 << pe), 0)[filtered]",
        "an SGI for all others comes back",
    ),
    Mutation(
        GICV2,
        "0b10 if value & _FIQ_EN else 0b11",
        "0b11",
        "group 0 interrupts as IRQ although it asks for FIQs",
    ),
    Mutation(
        GICV2,
        "if group and not self._cpus[pe].control & _ACK_CTL else",
        "if group else",
        "AckCtl does nothing",
    ),
    Mutation(
        GICV2, "self._sources[pe][intid] & ~(1 << source))", "0)", "an SGI from two PEs comes once"
    ),
    # -- GICv3
    Mutation(
        GICV3,
        "if self._cpus[pe].groups >> group & 1][:1]",
        "if self._cpus[pe].groups >> group & 1]",
        "an interrupt for any PE goes to all",
    ),
    Mutation(
        GICV3,
        "for n in self._pes if n != pe)",
        "for n in self._pes)",
        "an SGI for all others comes back",
    ),
    Mutation(
        GICV3,
        "pe + 1 in (len(self._pes), FIRST_REGION_PES)",
        "pe + 1 == len(self._pes)",
        "the first region has no end",
    ),
    Mutation(
        GICV3,
        "                if not cpu.common:\n                    cpu",
        "                if True:\n                    cpu",
        "BPR1 is written although BPR0 is used",
    ),
    Mutation(
        GICV3,
        "(value >> 16 & 0xFF) << 8 | (value >> 44 & 0xF) << 4",
        "(value >> 16 & 0xFF) << 8",
        "SGIs reach the first 16 PEs of a cluster",
    ),
    Mutation(
        GICV3,
        "bool(value & _PROCESSOR_SLEEP)",
        "not value & _PROCESSOR_SLEEP",
        "who sleeps takes part",
    ),
    # -- others
    Mutation(
        ONE_SHOT,
        "value in SHARED and not self.asserted",
        "value in SHARED",
        "a line that is high moves to another interrupt",
    ),
    Mutation(
        ONE_SHOT, "time + value if value else None", "time + value", "a delay of 0 expires at once"
    ),
    Mutation(
        ONE_SHOT, "max(self.deadline - time, 0)", "self.deadline", "what is left is when it ends"
    ),
    Mutation(
        ONE_SHOT,
        "        self._drive(False)\n        self.interrupt =",
        "        self.interrupt =",
        "a reset leaves the line high",
    ),
    Mutation(OWNED, "(25, 26, 28, 29)", "(25, 26, 28)", "a guest binds EL3's timer"),
    Mutation(OWNED, "16 <= intid < INTIDS", "16 <= intid <= INTIDS", "one SPI more than there are"),
    Mutation(
        OWNED,
        "self._gic.is_pending(intid, pe or 0)",
        "self._gic.is_pending(intid, 0)",
        "a PPI is pending where PE 0's is",
    ),
    Mutation(
        OWNED,
        "self._gic.acknowledge(intid, pe or 0)",
        "self._gic.acknowledge(intid, 0)",
        "PE 0's PPI is acknowledged",
    ),
    Mutation(
        BUS,
        "first + (region.size >> PAGE_SHIFT)):",
        "first + (region.size >> PAGE_SHIFT) + 1):",
        "a device is a page longer",
    ),
    Mutation(
        BUS, "        vm.timers_changed()\n", "", "nobody notices that the one-shot timer was set"
    ),
    Mutation(BUS, "vm.gic.read(vcpu.number,", "vm.gic.read(0,", "every PE reads PE 0's registers"),
    Mutation(
        TREE,
        "(1 << len(platform.affinities)) - 1 if platform.gic == 2 else 0",
        "(1 << len(platform.affinities)) - 1",
        "GICv3's interrupts have a mask of PEs",
    ),
    Mutation(
        TREE,
        "_TIMER_PPIS: Final = (13, 14, 11, 10)",
        "_TIMER_PPIS: Final = (13, 14, 10, 11)",
        "the virtual timer is the hypervisor's",
    ),
    Mutation(
        TREE,
        "gicv3.GICR_STRIDE * len(platform.affinities)",
        "gicv3.GICR_STRIDE",
        "one redistributor for all",
    ),
    Mutation(
        TREE,
        "bytes(-len(data) % 4)",
        "bytes(4 - len(data) % 4)",
        "four bytes of padding where none is wanted",
    ),
]
