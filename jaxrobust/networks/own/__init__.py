"""Users' own networks: plain functions, Flax NNX and Equinox models as networks of this library."""
