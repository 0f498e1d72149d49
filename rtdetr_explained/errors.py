"""The one error family that is shown to a user as a sentence instead of a traceback."""


class InputError(ValueError):
    """What was given cannot be used; the message is one sentence that says what is wrong and what to do."""
