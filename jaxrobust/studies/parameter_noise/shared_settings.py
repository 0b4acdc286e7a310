"""Settings that many architectures share, with the names and defaults of the published code.

The words that a setting may have are spelt out, so that reading a command line imports no JAX; a test
compares them with what the library has (tests/test_settings.py).
"""

from jaxrobust.settings import Finite, OneOf, Setting

COUNT = Finite(at_least=1)
POSITIVE = Finite(above=0)

TRAINING = {
    "seed": Setting(0, "seed of the parameters, the order of the data and all random draws"),
    "batch_size": Setting(100, "samples a training step", allowed=COUNT),
    "optimizer": Setting(
        "adam",
        "adam, sgd, nesterov, esgd (Entropy-SGD) or abcd",
        allowed=OneOf(("adam", "sgd", "nesterov", "esgd", "abcd")),
    ),
    "reg": Setting(0.001, "weight of the firing-rate regulariser"),
    "beta_robustness": Setting(0.125, "weight of the robust term (beta); 0 trains without attack"),
    "boundary_loss": Setting(
        "kl",
        "what the attack increases: kl, reverse_kl, js, l2 or madry",
        allowed=OneOf(("kl", "reverse_kl", "js", "l2", "madry")),
    ),
    "n_attack_steps": Setting(10, "steps of the attack", allowed=COUNT),
    "p_norm": Setting(
        "inf",
        "direction of the attack's steps: inf (sign) or 2 (normalised gradient)",
        allowed=OneOf(("inf", "2")),
    ),
    "attack_size_mismatch": Setting(0.2, "size of the attack relative to each parameter (zeta)"),
    "attack_size_constant": Setting(0.0, "size of the attack, the same for all parameters"),
    "initial_std_mismatch": Setting(0.001, "random start of the attack, relative to each parameter"),
    "initial_std_constant": Setting(0.0, "random start of the attack, the same for all parameters"),
    "treat_as_constant": Setting(False, "hold the attacked parameters fixed in the gradient"),
    "noisy_forward_std": Setting(0.0, "forward noise relative to each parameter; 0 trains without"),
    # From here on: left out of a result's key while at their defaults, so that results from before they
    # existed stay valid.
    "warmup": Setting(0.0, "epochs before the robust term, AWP, AMP or SAM sets in", True),
    "awp": Setting(False, "adversarial weight perturbation: train at theta + gamma (theta* - theta)", True),
    "awp_gamma": Setting(0.1, "which part of the way to the attacked parameters AWP goes", True),
    "eps_pga": Setting(0.0, "largest change of an input in AWP's attack on the inputs; 0 for none", True),
    "nb_iter": Setting(3, "steps of AWP's attack on the inputs", True, COUNT),
    "amp_size": Setting(0.0, "adversarial model perturbation: length of a tensor step; 0 for none", True),
    "hessian_robustness": Setting(False, "robust term: difference of gradients instead of answers", True),
    "sam_rho": Setting(0.0, "sharpness-aware minimisation: length of the step; 0 for none", True),
    "sam_adaptive": Setting(False, "scale that step with the parameters (ASAM)", True),
    "augmentation": Setting(
        "none",
        "of training data: none, flip_rotate (images) or time_shift",
        True,
        OneOf(("none", "flip_rotate", "time_shift", "flip", "crop", "crop_flip")),
    ),
    "noisy_forward_mode": Setting(
        "ind",
        "forward noise relative to each parameter (ind) or to the largest of its tensor (range)",
        True,
        OneOf(("ind", "range")),
    ),
    "noisy_forward_params": Setting(".*", "pattern of the parameters that get forward noise", True),
    "dropout_prob": Setting(
        0.0, "probability of a unit to be dropped in training", True, Finite(at_least=0, below=1)
    ),
    "dropout_mask": Setting(
        "rescaled",
        "rescaled (inverted dropout) or published (not rescaled)",
        True,
        OneOf(("rescaled", "published")),
    ),
    "l1_weight_decay": Setting(0.0, "weight of the sum of absolute values", True),
    "l1_weight_decay_params": Setting((".*",), "patterns of the parameters that it counts", True),
    "l2_weight_decay": Setting(0.0, "weight of the sum of Euclidean norms, not squared as published", True),
    "l2_weight_decay_params": Setting((".*",), "patterns of the parameters that it counts", True),
    "l2_squared": Setting(False, "square those norms: the usual weight decay", True),
    "contractive": Setting(0.0, "weight of the largest gradient of each tensor", True),
    "contractive_params": Setting((".*",), "patterns of the parameters that it counts", True),
    "weight_clipping": Setting(0.0, "clip weights to so many standard deviations; 0 for never", True),
    "attack_factors": Setting(
        (), "factors of the attack's size by parameter, first match: w_rec=0.5,.*=1; none: all 1", True
    ),
    "abcd_etaA": Setting(0.1, "abcd: learning rate uphill", True),
    "abcd_L": Setting(2, "abcd: ascents and descents a step", True, COUNT),
    "keep": Setting(
        "best",
        "parameters of the best validation, or of the last step: best or last",
        True,
        OneOf(("best", "last")),
    ),
}

NEURONS = {
    "n_hidden": Setting(256, "spiking units", allowed=COUNT),
    "dt": Setting(1.0, "length of a time step in ms", allowed=POSITIVE),
    "tau": Setting(20.0, "membrane time constant in ms", allowed=POSITIVE),
    "tau_adaptation": Setting(98.0, "time constant of the adaptive threshold in ms", allowed=POSITIVE),
    "beta": Setting(2.0, "strength of the threshold's adaptation", allowed=Finite()),
    "thr": Setting(0.01, "resting threshold", allowed=POSITIVE),
    "refr": Setting(2, "refractory period in time steps; refr - 1 steps after a spike are blocked"),
    "neuron_parameters": Setting(
        (),
        "which of tau,tau_adaptation,thr,beta are parameters",
        True,
        OneOf(("tau", "tau_adaptation", "thr", "beta")),
    ),
    "precision": Setting(
        "float32",
        "of the products with w_in and w_rec: float32 or bfloat16",
        True,
        OneOf(("float32", "bfloat16")),
    ),
}
