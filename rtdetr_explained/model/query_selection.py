"""Query selection: score every token of the three maps, keep the best, and turn their anchors into first boxes.

Source: rtdetrv2_pytorch/src/zoo/rtdetr/rtdetrv2_decoder.py (`_get_decoder_input`, `_select_topk`).
The paper's "uncertainty-minimal" selection is a statement about training: varifocal loss teaches the class score to
predict the IoU, so the rule at inference is simply the highest class score.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rtdetr_explained.model.config import ANCHOR_SIZE, ModelConfig
from rtdetr_explained.model.layers import ConvNorm, box_head, class_head, xavier_linear
from rtdetr_explained.model.tap import Tap

ANCHOR_MARGIN = 1e-2  # anchors with a component outside (margin, 1 - margin) are not valid


class Selection(NamedTuple):
    """What query selection hands on: the memory for the decoder's cross-attention and the chosen queries."""

    memory: Tensor  # B N D, all tokens, unmasked
    map_sizes: list[tuple[int, int]]  # (h, w) of each level
    content: Tensor  # B Q D, detached
    reference_boxes: Tensor  # B Q 4, cxcywh in 0..1, detached
    # The encoder's own prediction, trained by its auxiliary loss; None where nothing is trained.
    encoder_logits: Tensor | None  # B Q C
    encoder_boxes: Tensor | None  # B Q 4, cxcywh in 0..1


class TokenNorm(nn.Module):
    """Linear then layer norm, applied to every token before the encoder's heads (`enc_output` in the reference)."""

    def __init__(self, dim: int):
        super().__init__()
        self.proj = xavier_linear(dim, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.proj(x))


class QuerySelection(nn.Module):
    """N3, N4, N5 to the content and the first reference box of each object query."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        D = config.decoder_dim
        self.num_queries = config.num_queries
        self.method = config.query_select_method
        self.input_proj = nn.ModuleList(ConvNorm(config.hidden_dim, D, 1) for _ in range(3))
        for proj in self.input_proj:
            nn.init.xavier_uniform_(proj.get_parameter("conv.weight"))
        self.enc_output = TokenNorm(D)
        self.score_head = class_head(D, 1 if self.method == "agnostic" else config.num_classes)
        self.bbox_head = box_head(D)
        self._anchors: dict[tuple, tuple[Tensor, Tensor]] = {}

        self.memory = Tap(
            "token channel", "activation", "All cells of the three maps in one row: S3, then S4, then S5."
        )
        self.anchors = Tap(
            "token cxcywh", "logit of image 0..1", "The fixed box each cell starts from; infinite where not valid."
        )
        self.valid_mask = Tap("token", "true or false", "False for cells whose anchor touches the image border.")
        self.class_logits = Tap("token class", "logit", "Class scores of every token from the encoder's head.")
        self.scores = Tap("token", "logit", "Best class score of every token: the number that is ranked.")
        self.topk_indices = Tap("query", "token index", "The chosen tokens, best score first.")
        self.reference_boxes = Tap(
            "query cxcywh", "image, 0..1", "First reference box of each query: anchor plus predicted offset."
        )
        self.content = Tap("query channel", "activation", "What each query knows when it enters the decoder.")

    def forward(self, maps: list[Tensor], num_queries: int | None = None, method: str | None = None) -> Selection:
        """maps: N3, N4, N5. `num_queries` and `method` replace the configured ones for this call.

        Raises ValueError when the maps have fewer tokens than queries are asked for.
        """
        num_queries, method = num_queries or self.num_queries, method or self.method
        memory, map_sizes = self.flatten(maps)
        if memory.shape[1] < num_queries:
            raise ValueError(
                f"This image has {memory.shape[1]} tokens but {num_queries} queries are to be chosen from them; "
                "use a larger input size or fewer queries."
            )
        anchors, valid = self.anchors_for(map_sizes, memory.device)  # 1 N 4, 1 N 1
        anchors, valid = self.anchors(anchors), self.valid_mask(valid[..., 0])[..., None]

        # Only the encoder's heads see the masked memory; the decoder's cross-attention reads all of it.
        tokens = self.enc_output(torch.where(valid, memory, 0))  # B N D
        class_logits = self.class_logits(self.score_head(tokens).float())  # B N C
        scores = self.scores(class_logits.amax(-1))  # B N
        indices = self.topk_indices(choose_tokens(class_logits, scores, num_queries, method))  # B Q
        content = gather_tokens(tokens, indices)  # B Q D
        # The reference predicts a box for all N tokens and keeps Q; the head sees one token at a time, so Q are enough.
        offsets = self.bbox_head(content).float()  # B Q 4
        boxes = (offsets + gather_tokens(anchors.expand(memory.shape[0], -1, -1), indices)).sigmoid()  # B Q 4
        # Content and boxes enter the decoder detached: the encoder's heads learn from their own auxiliary loss.
        content, reference_boxes = self.content(content.detach()), self.reference_boxes(boxes.detach())
        return Selection(memory, map_sizes, content, reference_boxes, gather_tokens(class_logits, indices), boxes)

    def flatten(self, maps: list[Tensor]) -> tuple[Tensor, list[tuple[int, int]]]:
        """Project N3, N4, N5 to the decoder's width and put all cells in one row: memory B N D and (h, w) per level."""
        maps = [proj(x) for proj, x in zip(self.input_proj, maps, strict=True)]
        memory = torch.cat([x.flatten(2).transpose(1, 2) for x in maps], dim=1)  # B N D
        return self.memory(memory), [(x.shape[2], x.shape[3]) for x in maps]

    def anchors_for(self, map_sizes: list[tuple[int, int]], device: torch.device) -> tuple[Tensor, Tensor]:
        """Anchors and valid mask for these maps, cached for the last few input sizes."""
        key = (*map_sizes, device)
        found = self._anchors.get(key)
        if found is None:
            with torch.inference_mode(False):  # what is kept must serve a later training pass, too
                anchors, valid = make_anchors(map_sizes)
                found = anchors.to(device), valid.to(device)
            self._anchors = {**dict(list(self._anchors.items())[-7:]), key: found}
        return found


def make_anchors(map_sizes: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """One square anchor per cell: logits 1 N 4 (always float32, +inf where not valid) and the valid mask 1 N 1."""
    levels = []
    for level, (h, w) in enumerate(map_sizes):
        cy, cx = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
        side = torch.full((h, w), ANCHOR_SIZE * 2**level)
        levels.append(torch.stack([cx / w, cy / h, side, side], dim=-1).view(1, h * w, 4))
    anchors = torch.cat(levels, dim=1)  # 1 N 4
    valid = ((anchors > ANCHOR_MARGIN) & (anchors < 1 - ANCHOR_MARGIN)).all(-1, keepdim=True)  # 1 N 1
    return torch.where(valid, torch.log(anchors / (1 - anchors)), torch.inf), valid


def choose_tokens(class_logits: Tensor, scores: Tensor, num_queries: int, method: str) -> Tensor:
    """Indices of the chosen tokens, B Q, best first.

    `default` and `agnostic` rank tokens by their best class; `one2many` ranks (token, class) pairs, so that one token
    can be chosen several times.
    """
    if method == "one2many":
        C = class_logits.shape[2]
        return class_logits.flatten(1).topk(num_queries, dim=1).indices // C
    return scores.topk(num_queries, dim=1).indices


def gather_tokens(x: Tensor, indices: Tensor) -> Tensor:
    """Rows of x (B N D) at indices (B Q): B Q D."""
    return x.gather(1, indices[..., None].expand(-1, -1, x.shape[2]))
