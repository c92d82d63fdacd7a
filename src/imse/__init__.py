"""Ultra-light speech enhancement: IMSE (arXiv 2511.14515), without torch at run time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from imse.errors import ImseError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from imse.enhancer import Enhancer

    _AnyFloat = TypeVar("_AnyFloat", bound="np.floating[Any]")

__all__ = ["Enhancer", "ImseError", "__version__", "enhance"]
__version__ = "0.1.0"


def enhance(x: NDArray[_AnyFloat], sample_rate: int) -> NDArray[_AnyFloat]:
    """Enhance an array with the default weights.

    Args:
        x: Samples [samples] or [samples, channels] in float32 or float64.
        sample_rate: In Hz, 8,000 to 192,000.

    Returns:
        The enhanced signal, of x's shape and type.

    Raises:
        ImseError: Not such an array, NaN or infinite samples, or a rate out of range.
    """
    return _default().enhance(x, sample_rate)


@lru_cache(maxsize=1)
def _default() -> Enhancer:
    from imse.enhancer import Enhancer

    return Enhancer()


def __getattr__(name: str) -> Any:
    # The command line asks for no more than the version before it knows what to do; numpy and all else wait till then.
    if name == "Enhancer":
        from imse.enhancer import Enhancer

        return Enhancer
    raise AttributeError(f"module 'imse' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
