"""Draw figures and tables from stored results; `python make_figures.py -help` says more."""

from pathlib import Path

from jaxrobust.cli.figures import main
from jaxrobust.cli.words import exit_with

if __name__ == "__main__":
    exit_with(lambda words: main(words, Path(__file__).parent / "experiments"))
