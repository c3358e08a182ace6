"""The arm64 core: a Cortex-A72 whose EL2 is ours, on Unicorn. Nothing else imports unicorn.

Read in this order: `registers` (what a core remembers), `layout` (where Unicorn keeps it), `clock`
(how instructions are counted; ``hooks.ll`` does it), `core` (running, stopping exactly, exits,
exception entry).
"""

from sdeiviz.cpu.core import Core, CoreError, End, ExitHandler
from sdeiviz.cpu.loadstore import MemoryAccess, decode_access

__all__ = ["Core", "CoreError", "End", "ExitHandler", "MemoryAccess", "decode_access"]
