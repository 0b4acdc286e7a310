"""The words of train.py that are no settings of a model."""

from jaxrobust.cli import cluster_words
from jaxrobust.cli.stores import OWN
from jaxrobust.cli.words import Option
from jaxrobust.studies.parameter_noise.family_words import FAMILY_WORDS

OPTIONS = {
    "exp": Option((), "experiments to run: -exp=one,other; all if neither -exp nor -arch is given"),
    "arch": Option(
        "",
        f"train one model of an architecture: {', '.join(FAMILY_WORDS)}; a published network such as "
        "resnet18; or one that you register",
    ),
    "import": Option((), "your files, which register networks, data or methods: -import=mine.py"),
    "experiments": Option("", "folder of the experiments; experiments/ if not given"),
    "protocol": Option(
        "",
        "published, which is meant if nothing is given; full: the same on real data only; short: less data, "
        "fewer epochs and networks, for two cores; or another that an experiment names",
    ),
    "only": Option((), "the models with these settings: -only=architecture=cnn,method=Beta"),
    "stop_after": Option(
        0, "seconds after which what runs writes its checkpoint and the command ends; 0: never"
    ),
    "n_threads": Option(1, "worker processes"),
    "models_per_job": Option(1, "models trained side by side in one program; more pay on a GPU"),
    "list": Option(False, "show the experiments with their cost under each protocol; compute nothing"),
    "positions": Option(
        False, "show where networks can be read, perturbed and cut, and their shapes; compute nothing"
    ),
    "status": Option(False, "say what is done, running, pending, failed, lost, missing; compute nothing"),
    "yes": Option(False, "do not ask before a run of more than an hour"),
    "force": Option(False, "compute again what is already there"),
    "retry": Option(False, "compute again what failed"),
    "verify": Option(
        0, "compute so many of the stored models again, evaluations included, and compare; change nothing"
    ),
    "sessions": Option(
        OWN, "folder that results go to, over those that ship in sessions/, which are only read"
    ),
    **cluster_words.OPTIONS,
    "help": Option(False, "this text; with -arch=name its settings"),
}
