"""The JupyterLab surface: a debugger, a player for migrations, text where there are no widgets."""

from sdeiviz.widgets.debugger import Debugger, debug
from sdeiviz.widgets.player import Player
from sdeiviz.widgets.surface import DebuggerWidget

__all__ = ["Debugger", "DebuggerWidget", "Player", "debug"]
