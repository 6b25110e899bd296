from ._rerun import Rerun as Rerun
from ._rerun import recorded as recorded
from ._rerun import rerun as rerun
