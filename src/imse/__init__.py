"""Ultra-light speech enhancement: IMSE (arXiv 2511.14515), without torch at run time."""

__version__ = "0.1.0"
