"""Singular values of convolutions: exact for circular padding, in float64 on the host.

With circular padding a convolution is a multiplication at every frequency of the image, so its singular
values are those of the small matrices ``F(w)`` (Sedghi et al. 2019). These numbers enter certificates, and
are therefore computed by NumPy in complex128, not by the device in float32.
"""

import numpy as np
from jaxtyping import Complex128, Float, Float64

from jaxrobust.errors import InputError

Transfer = Complex128[np.ndarray, "height half_width channels_in channels_out"]


def transfer_function(
    kernel: Float[np.ndarray, "height width channels_in channels_out"], image: tuple[int, int]
) -> Transfer:
    """Return the matrices of a convolution at the frequencies of a real image of this height and width.

    Raises:
        InputError: The kernel is larger than the image: it would wrap around onto itself.
    """
    kernel = np.asarray(kernel, np.float64)
    check_kernel_fits(kernel.shape[:2], image)
    # The cross-correlation that Linen computes multiplies by the conjugate of this transform, which has the
    # same singular values; the position of the padding is a factor of modulus 1.
    return np.fft.rfft2(kernel, image, axes=(0, 1))


def check_kernel_fits(kernel: tuple[int, ...], image: tuple[int, ...]) -> None:
    """Raise ``InputError`` for a kernel that is larger than the image."""
    if kernel[0] > image[0] or kernel[1] > image[1]:
        raise InputError(
            f"A kernel of {kernel[0]}x{kernel[1]} is larger than the image of {image[0]}x{image[1]} it is "
            f"applied to; choose a smaller kernel or fewer strides before it."
        )


def singular_values(
    kernel: Float[np.ndarray, "height width channels_in channels_out"], image: tuple[int, int]
) -> Float64[np.ndarray, " values"]:
    """Return all singular values of a circular convolution of images of this size, sorted, largest first.

    Example:
        >>> print(singular_values(np.ones((1, 1, 1, 1)), (2, 2)))
        [1. 1. 1. 1.]
    """
    transfer = np.fft.fft2(np.asarray(kernel, np.float64), image, axes=(0, 1))
    check_kernel_fits(np.shape(kernel)[:2], image)
    return np.sort(np.linalg.svd(transfer, compute_uv=False), axis=None)[::-1]


def spectral_norm(matrices: np.ndarray) -> float:
    """Return the largest singular value of all matrices in the last two axes; inf if one is not finite."""
    if not np.all(np.isfinite(matrices)):
        return float("inf")
    return float(np.max(np.linalg.svd(matrices, compute_uv=False), initial=0.0))


def convolution_norm(
    kernel: Float[np.ndarray, "height width channels_in channels_out"],
    image: tuple[int, int],
    padding: str = "circular",
    stride: int = 1,
) -> float:
    """Return the Lipschitz constant of a convolution, or with zero padding an upper bound of it.

    With zero padding the images are embedded in larger ones of zeros, on which the convolution is a circular
    one: its norm at the image's size plus the kernel's bounds that of the part. With a stride, frequencies
    that the stride identifies form one matrix together.

    Args:
        kernel: Taps.
        image: Height and width of the input.
        padding: ``"circular"`` or ``"zero"``.
        stride: Rows and columns from one output pixel to the next; divides the image.
    """
    kernel = np.asarray(kernel, np.float64)
    check_kernel_fits(kernel.shape[:2], image)
    if padding == "zero":
        return spectral_norm(
            transfer_function(kernel, (image[0] + kernel.shape[0] - 1, image[1] + kernel.shape[1] - 1))
        )
    if stride == 1:
        return spectral_norm(transfer_function(kernel, image))
    return spectral_norm(_strided_transfer(kernel, image, stride))


def _strided_transfer(kernel: np.ndarray, image: tuple[int, int], stride: int) -> np.ndarray:
    """The strided convolution as one of stride 1 on the image's ``stride^2`` phases, stacked as channels."""
    height, width = -(-kernel.shape[0] // stride) * stride, -(-kernel.shape[1] // stride) * stride
    n_in, n_out = kernel.shape[2:]
    padded = np.zeros((height, width, n_in, n_out))
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    phases = padded.reshape(height // stride, stride, width // stride, stride, n_in, n_out)
    phases = phases.transpose(0, 2, 4, 1, 3, 5).reshape(height // stride, width // stride, -1, n_out)
    return np.fft.rfft2(phases, (image[0] // stride, image[1] // stride), axes=(0, 1))
