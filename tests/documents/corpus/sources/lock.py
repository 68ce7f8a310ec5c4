"""The lock's messages."""

from gettext import gettext as _
from gettext import ngettext

# The keeper says it.
print(_("The lock is closed until noon."))
print(_("Ring twice at the upper gate"))
print(ngettext("%d barge waits", "%d barges wait", 2))
