"""16 models of one grid in one program, against one after the other: ECG LSNNs of other seeds and betas.

Robust training, 4 steps a model with one attack step each, a validation at the end. Compiling is in the
first call; random data. That the results are equal is a test.

Command: python benchmarks/many_models.py [--repeats=3]
"""

import tempfile
import time
from pathlib import Path

import measure
from training_loop import BATCH, N_TRAIN, NETWORK, examples

from jaxrobust.attacks.parameter_attack import ParameterAttack
from jaxrobust.training.loop import train
from jaxrobust.training.methods import FiringRates, ParameterAttackTraining, Standard
from jaxrobust.training.schedule import Phases
from jaxrobust.training.training import Trained, Training

N_MODELS, N_STEPS = 16, 4


def trainings(folder: Path) -> list[Training]:
    """The grid."""
    return [
        Training(
            network=NETWORK,
            method=FiringRates(
                ParameterAttackTraining(
                    Standard(), beta=0.1 * (1 + i % 4), attack=ParameterAttack(0.1, n_steps=1)
                ),
                0.001,
            ),
            schedule=Phases(n_epochs=(N_STEPS * BATCH / N_TRAIN,), learning_rates=(0.001,)),
            optimizer="adam",
            batch_size=BATCH,
            seed=i // 4,
            eval_step_interval=400,
            folder=folder / str(i),
        )
        for i in range(N_MODELS)
    ]


def programs() -> dict[str, measure.Program]:
    """Together and alone."""
    data = examples(N_TRAIN), examples(100)
    together = _program(lambda grid: train(grid, *data))
    alone = _program(lambda grid: [train([one], *data)[0] for one in grid])
    return {"16 models in one program": together, "one after the other": alone}


def _program(run) -> measure.Program:
    def call() -> list[Trained]:
        with tempfile.TemporaryDirectory() as folder:
            grid = trainings(Path(folder))
            for one in grid:
                one.folder.mkdir()
            return run(grid)

    began = time.perf_counter()
    call()
    return measure.Program(time.perf_counter() - began, float("nan"), call)


def main() -> None:
    """Measure and print the table."""
    repeats = measure.repeats_of(__doc__ or "", 3)
    figures = measure.alternating({"kept": measure.Group(programs)}, repeats)
    base = figures["kept", "one after the other"]
    rows = [
        [name, ms, processor, ms / base.milliseconds, first, faults]
        for (_, name), (ms, processor, faults, first, _) in figures.items()
    ]
    measure.heading(f"{N_MODELS} models, {N_STEPS} steps each, median of {repeats}")
    columns = ["program", "ms", "processor ms", "x one after the other", "first call s", "page faults"]
    print(measure.table(columns, rows))


if __name__ == "__main__":
    main()
