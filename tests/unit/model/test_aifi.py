import numpy as np
import pytest
import torch
from random_models import TINY, random_model

from rtdetr_explained.model.aifi import AIFI, sincos_position_table


def test_position_table_has_the_check_values_of_the_reference() -> None:
    table = sincos_position_table(20, 20, 256)
    assert table.shape == (400, 256)
    token_1 = table[1]  # row 0, column 1
    assert not token_1[:64].any()
    assert (token_1[64:128] == 1).all()
    torch.testing.assert_close(token_1[128:131], torch.tensor([0.8415, 0.7617, 0.6816]), atol=5e-5, rtol=0)
    torch.testing.assert_close(token_1[192:195], torch.tensor([0.5403, 0.6479, 0.7318]), atol=5e-5, rtol=0)


@pytest.mark.parametrize(("h", "w"), [(3, 5), (16, 25), (4, 4)])
def test_position_table_tells_the_true_row_and_column(h: int, w: int) -> None:
    table = sincos_position_table(h, w, 32).double().numpy().reshape(h, w, 4, 8)
    omega = 10000.0 ** (-np.arange(8) / 8)
    for row in range(h):
        for col in range(w):
            expected = [np.sin(row * omega), np.cos(row * omega), np.sin(col * omega), np.cos(col * omega)]
            np.testing.assert_allclose(table[row, col], expected, atol=1e-6)


def test_position_table_needs_a_multiple_of_four_channels() -> None:
    with pytest.raises(ValueError, match="divisible by 4, not 30"):
        sincos_position_table(2, 2, 30)


def test_tables_are_kept_by_height_and_width_and_only_the_last_few() -> None:
    aifi = AIFI(TINY)
    device = torch.device("cpu")
    for h, w in [(16, 25), (20, 20), (25, 16), (16, 25)]:  # all of 400 tokens
        assert torch.equal(aifi.position_table(h, w, 32, device), sincos_position_table(h, w, 32))
    first = aifi.position_table(16, 25, 32, device)
    assert aifi.position_table(16, 25, 32, device) is first
    for w in range(1, 40):
        aifi.position_table(3, w, 32, device)
    assert len(aifi._tables) == 8


def test_aifi_is_one_post_norm_layer_over_the_row_major_tokens() -> None:
    aifi = random_model().hybrid_encoder.aifi
    layer = aifi.layers[0]
    p5 = torch.randn(2, 32, 3, 5)
    x = p5.flatten(2).transpose(1, 2)
    pos = sincos_position_table(3, 5, 32)[None]
    with torch.no_grad():
        attended = layer.get_submodule("norm1")(x + layer.get_submodule("self_attn")(x, pos))
        hidden = torch.nn.functional.gelu(layer.get_submodule("linear1")(attended))  # the exact one
        expected = layer.get_submodule("norm2")(attended + layer.get_submodule("linear2")(hidden))
        out = aifi(p5)
    torch.testing.assert_close(out, expected.transpose(1, 2).reshape(2, 32, 3, 5), atol=1e-5, rtol=0)


def test_a_token_with_another_place_gives_another_output() -> None:
    aifi = random_model().hybrid_encoder.aifi
    same_everywhere = torch.ones(1, 32, 3, 5)
    with torch.no_grad():
        out = aifi(same_everywhere)[0].flatten(1).T  # T C
    assert out.unique(dim=0).shape[0] > 1
