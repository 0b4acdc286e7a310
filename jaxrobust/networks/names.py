"""Names of the published networks of ``networks.named``, for command lines that are read without JAX."""

PUBLISHED_NETWORKS = (
    "lenet",
    "tiny10",
    "nbn_tiny10",
    "dense",
    "strided_cnn",
    *(f"resnet20_w{width}" for width in range(1, 6)),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    "preactresnet18",
    "wide_resnet_28_10",
    "wide_resnet_34_10",
    *(f"vgg{depth}" for depth in (11, 13, 16, 19)),
)
