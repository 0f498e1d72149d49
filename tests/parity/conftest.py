import pytest
from reference import Pair, make_pair

VARIANTS = ("rtdetrv2_r18vd", "rtdetrv2_r34vd", "rtdetrv2_r50vd_m", "rtdetrv2_r50vd", "rtdetrv2_r101vd")


@pytest.fixture(scope="module", params=VARIANTS)
def pair(request: pytest.FixtureRequest) -> Pair:
    """Every variant in turn, in both implementations with the same weights; built once for all tests of a module."""
    return make_pair(request.param)
