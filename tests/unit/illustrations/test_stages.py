"""What is said about each stage is about that stage."""

import pytest

from rtdetr_explained.illustrations.stages import STAGES
from rtdetr_explained.tracing import sites

# A word that belongs to one stage alone, of what it does.
OWN = {
    "overview": "pixels",
    "backbone": "maps of the image",
    "aifi": "attention",
    "ccff": "fusion",
    "query_selection": "become queries",
    "decoder": "layer by layer",
    "deformable_attention": "looks",
    "denoising": "training",
}


def test_there_is_a_text_for_every_stage_in_their_order() -> None:
    assert tuple(STAGES) == sites.STAGES == tuple(OWN)


@pytest.mark.parametrize("slug", OWN)
def test_a_subtitle_names_what_its_stage_does_and_no_other_stage(slug: str) -> None:
    assert [other for other, word in OWN.items() if word in STAGES[slug].subtitle] == [slug]
