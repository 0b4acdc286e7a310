"""The file that ``jaxrobust new name`` writes: an experiment that runs, with comments on what to change."""

_TEXT = '''"""What this experiment asks, what to expect, and what it costs.

    jaxrobust train -exp={name} -n_threads=2
    jaxrobust figures -exp={name}
"""

import jaxrobust as jr
from jaxrobust.studies.evaluations.mismatch import mismatch_sweep
from jaxrobust.studies.training_points import training_point

# What is compared. Others: jaxrobust list, or a class of your own with a method `loss` (docs/own_method.md).
METHODS = {{
    "Standard": jr.methods.Standard(),
    "Beta": jr.methods.ParameterAttackTraining(
        # beta: weight of the robust term; relative_size: the attack moves each parameter by up to 10 %
        jr.methods.Standard(), beta=0.25, attack=jr.ParameterAttack(relative_size=0.1, n_steps=3)
    ),
}}
# Your data: a path such as "mine.npz", with arrays train_inputs and train_labels (docs/own_data.md).
DATASET = "digits"
# Networks that differ in their start; one network cannot rank methods that are close.
SEEDS = (0,)


class {name}:  # named as its file: that is how it is found
    """The experiment."""

    def train_grid(self):
        """Every training, as a dict of settings; nothing is computed here."""
        points = []
        for method in METHODS.values():
            for seed in SEEDS:
                # Another network: jr.LSNN, jr.CNN, or yours (docs/own_network.md).
                network = jr.MLP(n_in=64, n_hidden=(64,), n_out=10)
                schedule = jr.Phases(n_epochs=(10.0,), learning_rates=(1e-3,))
                points.append(training_point(network, DATASET, method=method, schedule=schedule, seed=seed))
        return points

    def evaluate(self, grid, **how):
        """Turn trained networks into numbers; all that is slow belongs here, as each number is kept."""
        # 20 simulated devices at each level: the standard deviation of a parameter relative to its size.
        return mismatch_sweep([{{**point, "n_draws": 20}} for point in grid], levels=[0.0, 0.2, 0.4], **how)

    def visualize(self, grid, folder):
        """Draw figure and table from the numbers; the points now hold "level" and "accuracies"."""
        from jaxrobust.figures.over_levels import draw_over_levels  # training needs no matplotlib

        names = {{repr(method): name for name, method in METHODS.items()}}
        return draw_over_levels(grid, folder, "{name}", label=lambda point: names[repr(point["method"])])
'''


def experiment_text(name: str) -> str:
    """The text of a new experiment."""
    return _TEXT.format(name=name)
