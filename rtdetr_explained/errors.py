"""The one error family that is shown to a user as a sentence instead of a traceback."""

from rtdetr_explained.printable import printable


class InputError(ValueError):
    """What was given cannot be used; the message is one sentence that says what is wrong and what to do.

    It can hold names of files and classes, so it is made printable.
    """

    def __init__(self, message: str):
        super().__init__(printable(message))
