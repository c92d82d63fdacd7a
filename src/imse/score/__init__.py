"""Quality of recordings without a clean reference, before and after enhancement. Needs imse[eval], and no torch."""

from imse.score.harm import Change
from imse.score.items import Item, find_items
from imse.score.recording import Quality
from imse.score.run import Score, score

__all__ = ["Change", "Item", "Quality", "Score", "find_items", "score"]
