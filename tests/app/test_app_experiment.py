"""The measured training on the denoising page: nothing while closed, the real run's curves when open."""

from page_text import text_of

from rtdetr_explained.experiments import result


def test_the_section_does_no_work_until_it_is_opened(open_app):
    at = open_app("denoising")
    words = result.caption(result.read_result())[:40]
    charts = len(at.get("plotly_chart"))
    assert words not in text_of(at)
    at.session_state["experiment_denoising"] = True
    at.run()
    assert not at.exception
    assert words in text_of(at)
    assert len(at.get("plotly_chart")) == charts + 1
    assert (
        list(at.dataframe[-1].value["images"])
        == result.read_result()["arms"]["with_denoising"]["evaluations"]["images"]
    )
