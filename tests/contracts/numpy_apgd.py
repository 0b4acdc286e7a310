"""APGD (Croce and Hein 2020) in slow NumPy, one sample at a time."""

import numpy as np


def numpy_apgd(value_and_gradient, x, label, size, n_steps, norm):
    """Algorithm 1 of Croce and Hein for one sample, from the clean input; the best of failure and loss."""

    def project(z):
        shift = z - x
        if norm == "inf":
            shift = np.clip(shift, -size, size)
        elif np.linalg.norm(shift) > size:
            shift = shift * size / np.linalg.norm(shift)
        return np.clip(x + shift, 0, 1)

    def evaluate(z):
        wrong, loss, gradient = (each[0] for each in value_and_gradient(z[None], label[None]))
        return wrong, loss, np.sign(gradient) if norm == "inf" else gradient / np.linalg.norm(gradient)

    p = [0.0, 0.22]
    while p[-1] < 1:
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    checkpoints = [int(np.ceil(round(q * n_steps, 9))) for q in p]
    eta, now, before = 2 * size, x, x
    wrong, loss, move = evaluate(now)
    best, top = (wrong, loss, now), (loss, now, move)
    losses, etas, tops, n_halved = [loss], {0: eta}, {0: loss}, 0
    for k in range(n_steps):
        if k > 0 and k in checkpoints:
            last = checkpoints[checkpoints.index(k) - 1]
            rising = sum(losses[i + 1] > losses[i] for i in range(last, k))
            etas[k], tops[k] = eta, top[0]
            was_halved = last > 0 and etas.get(("after", last)) != etas[last]
            if rising < 0.75 * (k - last) or (not was_halved and tops[k] == tops[last]):
                eta, now, move, n_halved = eta / 2, top[1], top[2], n_halved + 1
            etas["after", k] = eta
        z = project(now + eta * move)
        new = z if k == 0 else project(now + 0.75 * (z - now) + 0.25 * (now - before))
        before, now = now, new
        wrong, loss, move = evaluate(now)
        losses.append(loss)
        if (wrong, loss) > best[:2]:
            best = (wrong, loss, now)
        if loss > top[0]:
            top = (loss, now, move)
    return best, n_halved
