"""sdeiviz: a hypervisor small enough to read, real enough to trust, and visible at every step.

>>> import sdeiviz
>>> vm = sdeiviz.VirtualMachine("hello")
>>> vm.run().reason.value
'power-off'
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sdeiviz.errors import Error

if TYPE_CHECKING:
    from sdeiviz.debugger import Session
    from sdeiviz.machine import VirtualMachine
    from sdeiviz.widgets import debug

__version__ = "0.1.0"

__all__ = ["Error", "Session", "VirtualMachine", "__version__", "debug"]

# Loaded on first use: `import sdeiviz` stays fast, and the command line needs no widgets.
_HOMES = {
    "VirtualMachine": "sdeiviz.machine",
    "Session": "sdeiviz.debugger",
    "debug": "sdeiviz.widgets",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sdeiviz' has no attribute {name!r}")
