"""What is timed, as a process: `python -m imse.bench.tasks TASK`, which `imse.bench.worker` starts.

TASK is JSON, the arguments of one of `TASKS` with its name under "task". The process opens what the task needs, answers
with a line of JSON what it found, and then does the task once for every line that it reads, and answers with what it
took. Instead of the first answer it may say in a line what is wrong, under "error".
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from imse.errors import ImseError, describe

PRODUCT_SIZE = 1024
PRODUCTS_PER_TURN = 8

Task = tuple[dict[str, Any], Callable[[], object]]
"""What was found when it was opened, and what is done, and timed, in a turn."""


def enhance(engine: str, weights: str, segments: str, threads: int, seconds: float, output: str) -> Task:
    """Enhance the benchmark's signal; a first time at once, whose result is saved to `output` by numpy."""
    started = time.perf_counter()
    from imse.enhancer import Enhancer

    enhancer = Enhancer(weights, engine, threads, segments)
    opened = time.perf_counter()

    import numpy as np

    from imse.bench.signal import noisy_speech
    from imse.signal.spectrum import SAMPLE_RATE

    noisy = noisy_speech(seconds)
    begun = time.perf_counter()
    np.save(output, enhancer.enhance(noisy, SAMPLE_RATE))
    found = {"open_seconds": opened - started, "first_seconds": time.perf_counter() - begun}
    return found, lambda: enhancer.enhance(noisy, SAMPLE_RATE)


def product() -> Task:
    """Multiply float32 matrices of 1,024 by 1,024 with numpy, eight times."""
    import numpy as np

    a, b = np.random.default_rng(0).standard_normal((2, PRODUCT_SIZE, PRODUCT_SIZE), np.float32)
    out = np.matmul(a, b)

    def turn() -> None:
        for _ in range(PRODUCTS_PER_TURN):
            np.matmul(a, b, out)

    return {}, turn


def count(weights: str) -> Task:
    """Count parameters and multiply-accumulates of the network in a file; nothing is timed."""
    from dataclasses import asdict

    from imse.nn.cost import costs
    from imse.weights.info import network_config

    config = network_config(Path(weights))
    total = costs(config)["total"]
    return {"network": asdict(config), "parameters": total.parameters, "gmacs": total.gmacs}, lambda: None


TASKS: dict[str, Callable[..., Task]] = {"enhance": enhance, "product": product, "count": count}


def main() -> None:
    """Do the task of the command line, until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair, whose end ends our input
    # What libraries may print is no answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    try:
        found, turn = TASKS[arguments.pop("task")](**arguments)
    except (ImseError, OSError, ModuleNotFoundError) as error:
        found, turn = {"error": describe(error)}, lambda: None
    print(json.dumps(found), file=answers, flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        turn()
        took = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        print(json.dumps(took), file=answers, flush=True)


if __name__ == "__main__":
    main()
