"""Critics between the digits and images of a generator: two stages up to the result, and their ranks."""

import pytest

import datajuicer as dj
from jaxrobust.networks.generative import ImageGAN
from jaxrobust.studies.lipschitz.generated_images import generator_point, image_critics
from jaxrobust.studies.stages import Stage, finished, plan_stages

pytestmark = pytest.mark.slow


def tiny(n_generator_steps=4, n_steps=3, methods=("RKO",), **how):
    """The stages of an experiment on the digits, planned."""
    settings = {"learning_rates": (1e-3,), "channels": (4,), "batch_size": 8, "n_steps": n_steps, **how}
    generator = generator_point("digits", width=2, n_steps=n_generator_steps, interval=2)

    def critics(points):
        return image_critics(points["train"][0], methods, **settings)

    stages = (Stage("train", lambda points: [], "train"), Stage("critic", critics, "critic"))
    return plan_stages(stages, [generator])


def computed(planned, folder):
    points = []
    for one in planned:
        keyed = dj.planned(one.grid, one.stage.compute, "trained", folder)("{*}")
        points += dj.run(keyed, one.stage.compute, store_key="*", cache_dir=folder, progress=False)("{*}")
    return points


def test_a_generator_and_a_critic_from_training_to_table(tmp_path):
    planned = tiny(activations=("maxmin",), methods=("OSSN",))
    generator, critic = computed(planned, tmp_path)
    assert generator["n_steps"] == 4
    assert critic["generator"]["network"] == ImageGAN(2)
    assert 0.5 < critic["constant"] < 1.1
    assert critic["raw"] == pytest.approx(critic["distance"] * critic["constant"])
    assert critic["standard_error"] > 0
    assert critic["steps"] == [1, 2, 3]
    assert len(critic["estimates"]) == 3
    again = finished(planned, cache_dir=tmp_path, run_mode="load", progress=False)
    assert [point["stage"] for point in again] == ["train", "critic"]
    assert again[1]["distance"] == critic["distance"]


def test_critics_rank_on_generated_images_as_on_known_distances(tmp_path):
    """After few steps of the generator its images are far from real ones, and the ranks are clear."""
    how = {"channels": (16, 32), "batch_size": 64, "learning_rates": (1e-3,)}
    points = computed(tiny(30, 200, ("BCOP", "RKO"), **how), tmp_path)[1:]
    found = {(p["parameterization"], p["activation"]): p["distance"] for p in points}
    assert found["BCOP", "maxmin"] > found["RKO", "maxmin"] > found["RKO", "relu"]
    assert found["BCOP", "maxmin"] > found["BCOP", "relu"]
