"""Ultra-light speech enhancement: IMSE (arXiv 2511.14515), without torch at run time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from imse.errors import ImseError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imse.enhancer import Enhancer
    from imse.samples import Samples
    from imse.stream import Stream

__all__ = ["Enhancer", "ImseError", "Stream", "__version__", "enhance"]
__version__ = "0.1.0"


def enhance(x: NDArray[Samples], sample_rate: int) -> NDArray[Samples]:
    """Enhance an array with the default weights and settings; `Enhancer` has others, and enhances files.

    Args:
        x: Samples [samples] or [samples, channels]: float32 or float64, full scale at +-1 or any level; or uint8, int16
            or int32, whose full scale is that of WAV files.
        sample_rate: In Hz, 8,000 to 192,000.

    Returns:
        The enhanced signal, of x's shape and type.

    Raises:
        ImseError: Also a TypeError: x is no array of these types, `sample_rate` no whole number. Also a ValueError:
            another shape, NaN or infinite samples, or a rate out of range.
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
    if name == "Stream":
        from imse.stream import Stream

        return Stream
    raise AttributeError(f"module 'imse' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
