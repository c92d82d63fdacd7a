"""The paper's ablation: train the four combinations of attention and embedding with equal settings, and score them.

    python benchmarks/ablation.py --data ../shared/data --test ../shared/data/test/voicebank_demand
    python benchmarks/ablation.py --data FOLDER --test DIR --set network.channels=16 --set optim.steps=100000

It trains every recipe of recipes/ablation, enhances DIR/noisy with the best weights, and scores the results against
DIR/clean. It prints means with confidence intervals and comparisons file by file, and writes them to scores.json in
a folder of runs/ablation that is named by the settings. Interrupted runs continue.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

RECIPES = Path(__file__).parents[1] / "recipes" / "ablation"
RUNS = Path("runs", "ablation")


def imse(*arguments: str | Path) -> None:
    """Run a command of the package; a failure ends this script."""
    subprocess.run([sys.executable, "-m", "imse", *map(str, arguments)], check=True)


def main() -> None:
    """Train, enhance, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--test", type=Path, required=True, metavar="DIR", help="folder with clean/ and noisy/")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="replace a value in all recipes"
    )
    parser.add_argument("--data", required=True, metavar="FOLDER", help="of the recipes' recordings")
    options = parser.parse_args()
    runs = RUNS / (re.sub(r"[^\w=.-]+", "_", ",".join(options.set)) or "as_checked_in")
    settings = [argument for setting in options.set for argument in ("--set", setting)]
    enhanced: list[str | Path] = []
    for recipe in sorted(RECIPES.glob("*.toml")):
        folder = runs / recipe.stem
        weights, out = folder / "best.safetensors", folder / "enhanced" / recipe.stem
        resume = ["--resume"] if (folder / "last.ckpt").exists() else []
        imse("train", recipe, "--data", options.data, *settings, "--set", f"run.folder={folder.absolute()}", *resume)
        imse("enhance", options.test / "noisy", "-o", out, "--weights", weights, "--engine", "torch", "--overwrite")
        enhanced += ["--enhanced", out]
    test = ["--clean", options.test / "clean", "--noisy", options.test / "noisy"]
    measures = "pesq_wb,csig,cbak,covl,stoi,si_sdr_db"
    imse("evaluate", *test, *enhanced, "--measures", measures, "--json", runs / "scores.json", "--overwrite")


if __name__ == "__main__":
    main()
