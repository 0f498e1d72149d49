"""What a page says, for tests that look for words."""

from streamlit.testing.v1 import AppTest


def text_of(at: AppTest) -> str:
    """Everything that is written on the page and in the side bar."""
    kinds = ("markdown", "caption", "warning", "info", "error")
    return "\n".join(str(getattr(element, "value", "")) for kind in kinds for element in at.get(kind))
