"""What is done to a recording after enhancement, in the same pass: rumble removed, loudness set.

The signal comes and goes in blocks [frames, channels], at the recording's own rate.
"""

from imse.finish.finishing import TRUE_PEAK_LIMIT_DB, Finishing
from imse.finish.spool import spooled

__all__ = ["TRUE_PEAK_LIMIT_DB", "Finishing", "spooled"]
