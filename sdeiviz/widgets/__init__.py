"""The JupyterLab surface: one widget, and text where there are no widgets."""

from sdeiviz.widgets.debugger import Debugger, debug
from sdeiviz.widgets.surface import DebuggerWidget

__all__ = ["Debugger", "DebuggerWidget", "debug"]
