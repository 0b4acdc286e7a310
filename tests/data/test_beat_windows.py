import dataclasses

import numpy as np
import pytest

from jaxrobust.data.ecg.beat_windows import published_windows, r_peak_windows, z_score
from jaxrobust.data.ecg.mitdb_records import Record
from jaxrobust.errors import InputError


def record(**changes) -> Record:
    """Beats every 300 samples (0.83 s), each with a sharp R wave and a T wave 0.25 s later."""
    starts = np.arange(300, 3000, 300)
    time = np.arange(3300)
    lead = sum(
        np.exp(-0.5 * ((time - at) / 4) ** 2) + 0.3 * np.exp(-0.5 * ((time - at - 90) / 18) ** 2)
        for at in starts
    )
    fields = {
        "name": "toy",
        "signals": np.stack([lead, 0.5 - 2 * lead], axis=1).astype(np.float32),
        "starts": starts,
        "symbols": ("N", "L", "R", "V", "A", "N", "N", "N", "N"),
        "clean": np.array([True] * 8 + [False]),
        "relabelled": np.array([True] + [False] * 8),
    }
    return Record(**(fields | changes))


def test_our_windows_are_centred_on_r_and_leave_out_noise_and_other_classes():
    windows, labels = r_peak_windows(record())
    assert windows.shape == (7, 100, 2)
    assert windows.dtype == np.float32
    assert labels.tolist() == [0, 1, 2, 3, 0, 0, 0]
    assert windows[..., 0].argmax(axis=1).tolist() == [50] * 7
    assert windows[..., 1].argmin(axis=1).tolist() == [50] * 7
    np.testing.assert_allclose(windows.mean(axis=1), 0, atol=1e-5)


def test_beats_too_near_an_end_of_the_recording_are_left_out():
    whole = record()
    near = record(signals=whole.signals[250:2750], starts=whole.starts - 250)
    windows, _ = r_peak_windows(near)
    assert len(windows) == 6, "the first of the seven lies 50 samples after the start; 100 are needed"


def test_published_windows_are_centred_on_the_t_wave_and_leave_out_relabelled_beats():
    windows, labels = published_windows(record())
    assert labels.tolist() == [1, 2, 3, 0, 0, 0]
    # The T wave lies 45 samples (at 180 Hz) after R, so R is at 5 and T at 50; left of R stands R's own
    # value.
    np.testing.assert_array_equal(windows[:, :5], windows[:, 5:6].repeat(5, axis=1))
    assert windows[:, 20:80, 0].argmax(axis=1).tolist() == [30] * 6


def test_published_windows_continue_a_short_beat_with_its_last_value():
    whole = record()
    short = record(
        starts=np.array([300, 470]), symbols=("N", "N"), clean=np.ones(2, bool), relabelled=np.zeros(2, bool)
    )
    windows, _ = published_windows(short)
    assert len(whole.signals) > 470
    np.testing.assert_array_equal(windows[0, 91:], windows[0, 90:91].repeat(9, axis=0))
    assert windows[0, 90, 0] != 0


def test_beats_without_a_peak_in_the_range_are_left_out():
    falling = np.stack([np.linspace(1, 0, 3300)] * 2, axis=1).astype(np.float32)
    windows, labels = published_windows(record(signals=falling))
    assert windows.shape == (0, 100, 2)
    assert labels.shape == (0,)


def test_a_flat_lead_has_no_z_score_and_its_beats_are_left_out():
    flat = record()
    flat.signals[:, 1] = 0.2
    assert z_score(flat.signals) is None
    assert len(r_peak_windows(flat)[0]) == len(published_windows(flat)[0]) == 0


@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_z_scores_do_not_depend_on_gain_and_offset(scale: float):
    signal = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    scored, expected = z_score(scale * signal + 3 * np.float32(scale)), z_score(signal)
    assert scored is not None
    assert expected is not None
    np.testing.assert_allclose(scored, expected, atol=1e-5)


@pytest.mark.parametrize("n_leads", [1, 2, 3, 12])
@pytest.mark.parametrize("windows_of", [r_peak_windows, published_windows])
def test_records_have_any_number_of_leads(n_leads, windows_of):
    at = np.arange(500, 18800, 280)
    time = np.arange(20000)[:, None] / 30 + np.arange(n_leads)
    everywhere = np.ones(len(at), bool)
    own = Record("own", np.sin(time).astype("f4"), at, tuple("N" * len(at)), everywhere, ~everywhere)
    windows, labels = windows_of(own)
    assert windows.shape == (len(labels), 100, n_leads)
    assert len(labels) > 10
    gap = own.signals.copy()
    gap[5000:6000, -1] = np.nan
    kept, kept_labels = windows_of(dataclasses.replace(own, signals=gap))
    assert len(kept) == len(kept_labels) < len(labels)
    assert np.isfinite(kept).all()
    with pytest.raises(InputError, match=r"give \(time, leads\)"):
        windows_of(dataclasses.replace(own, signals=np.zeros(20000, "f4")))
