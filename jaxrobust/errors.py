"""The one error that is the user's to mend."""


class InputError(ValueError):
    """Bad input: the message is one sentence that says what was wrong, where, and what to do.

    Example:
        >>> import jax, jax.numpy as jnp, jaxrobust as jr
        >>> try:
        ...     jr.ParameterAttack(relative_size=-1.0)
        ... except jr.InputError as error:
        ...     print(error)
        relative_size of an attack must be a finite number of at least 0, not [-1.0].
    """

    # The experiment engine does not record it as a result: the same call may work once the input is mended.
    transient = True
