"""The one error that is the user's to mend."""


class InputError(ValueError):
    """Bad input: the message is one sentence that says what was wrong, where, and what to do."""

    # The experiment engine does not record it as a result: the same call may work once the input is mended.
    transient = True
