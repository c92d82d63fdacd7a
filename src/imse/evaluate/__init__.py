"""Objective measures of enhanced speech, over folders of recordings. Needs imse[eval], and no torch."""

from imse.evaluate.measures import MEASURES, Measure, Scores, score
from imse.evaluate.pairs import Pair
from imse.evaluate.results import Comparison, Evaluation, FileScores, Summary, System
from imse.evaluate.run import evaluate

__all__ = [
    "MEASURES",
    "Comparison",
    "Evaluation",
    "FileScores",
    "Measure",
    "Pair",
    "Scores",
    "Summary",
    "System",
    "evaluate",
    "score",
]
