"""The detector: a model ready to be asked. It finds objects, records traces, and re-runs them with edits."""

import copy
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rtdetr_explained.data.images import ImageSource, image_sha256, open_image, to_model_input
from rtdetr_explained.errors import InputError
from rtdetr_explained.model.fuse import fuse
from rtdetr_explained.model.postprocess import postprocess
from rtdetr_explained.model.query_selection import Selection
from rtdetr_explained.model.rtdetr import RTDETR
from rtdetr_explained.model.tap import Tap
from rtdetr_explained.printable import printable
from rtdetr_explained.tracing.edits import Edit, SetLayers, from_dict, to_dict
from rtdetr_explained.tracing.profile import stage_flops, stage_profiles
from rtdetr_explained.tracing.recorder import Recorder, install_hooks, recording
from rtdetr_explained.tracing.rerun import SELECTION_EDITS, plan
from rtdetr_explained.tracing.results import Reading
from rtdetr_explained.tracing.sites import Keep, keeper, stage_of
from rtdetr_explained.tracing.storage import SCHEMA
from rtdetr_explained.tracing.trace import PHOTO_SIDE_PX, Detection, StageProfile, Trace
from rtdetr_explained.weights.saving import weights_hash

MAPS = tuple(f"hybrid_encoder.ccff.n{level}" for level in (3, 4, 5))
FUSION = ("hybrid_encoder.ccff", "hybrid_encoder.input_proj.0", "hybrid_encoder.input_proj.1")
LATER_STAGES = ("query_selection", "decoder", "deformable_attention")


class Detector:
    """A frozen model in evaluation mode on one device, safe to be shared by several threads.

    Args:
        model: weights and configuration; it is copied, never changed.
        name: what the model is called in traces.
        device: "cpu", "cuda", "mps" or a torch device.
        deploy: fold norms and RepVGG branches into the convolutions and use the channels-last layout, which is faster;
            outputs agree within 1e-3.
        remarks: sentences about the weights that a user should read, such as that they are of RT-DETR version 1.
    """

    def __init__(
        self,
        model: RTDETR,
        name: str | None = None,
        device: str | torch.device = "cpu",
        deploy: bool = True,
        remarks: Sequence[str] = (),
    ):
        self.config = model.config
        self.remarks = tuple(remarks)
        self.name = printable(name or model.config.name)
        self.device = torch.device(device)
        self.weights_hash = weights_hash(model.state_dict())
        self.parameters = {stage: p.parameters for stage, p in stage_profiles(model, {}).items()}
        model = fuse(model) if deploy else copy.deepcopy(model).eval()
        self.model = model.requires_grad_(False).to(self.device)
        self.memory_format = torch.channels_last if deploy else torch.contiguous_format
        self.modules = dict(self.model.named_modules())
        self.site_names = [n for n, m in self.modules.items() if isinstance(m, Tap)]
        layers = tuple(f"decoder.layers.{i}.cross_attn" for i in range(self.config.num_layers))
        encoder = ("hybrid_encoder", *FUSION)
        install_hooks(self.model, ("backbone", *encoder, *LATER_STAGES[:2], *layers))
        self._warm: set[tuple[int, int]] = set()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.config.class_names

    def detect(self, image: ImageSource, threshold: float = 0.5) -> list[Detection]:
        """Objects that score above the threshold, best first, with boxes in pixels of the image."""
        photo = open_image(image)
        with torch.inference_mode():
            outputs = self.model(self.to_input(photo, self.config.image_size))
        found = postprocess(outputs, [photo.size])[0]
        rows = zip(*(found[key].tolist() for key in ("queries", "labels", "scores", "boxes_px")), strict=True)
        return [Detection(q, c, self.class_names[c], s, tuple(box)) for q, c, s, box in rows if s > threshold]

    def trace(
        self, image: ImageSource, sites: str | Iterable[str] = "figures", size: tuple[int, int] | None = None
    ) -> Trace:
        """Run the network on one image and record it.

        Args:
            image: path, bytes, file, PIL image or array.
            sites: "figures" (what the illustrations draw), "all", a glob such as "backbone.*", or a list of these. The
                shapes of all modules are recorded in any case.
            size: height and width of the network's input, multiples of 32; the model's own by default.

        Raises InputError for an unusable image or size, KeyError for an unknown site.
        """
        photo = open_image(image)
        sites = sites if isinstance(sites, str) else list(sites)
        h, w = size or self.config.image_size
        if h % 32 or w % 32 or min(h, w) < 32:
            raise InputError(f"The input size is {h} x {w}; both sides must be multiples of 32.")
        recorder = Recorder(keeper(sites, self.site_names), self.device)
        try:
            with torch.inference_mode():
                pixels = self.to_input(photo, (h, w))
                if (h, w) not in self._warm:  # the first pass of a size is slow, which the times would show
                    self.model(pixels)
                    self._warm.add((h, w))
                with recording(recorder):
                    self.model(pixels)
        except ValueError as error:  # fewer tokens than queries
            raise InputError(str(error)) from None
        jpeg = io.BytesIO()
        shown = photo.copy()
        shown.thumbnail((PHOTO_SIDE_PX, PHOTO_SIDE_PX))
        shown.save(jpeg, "JPEG", quality=90)
        meta = {
            "schema": SCHEMA,
            "package": version("rtdetr-explained"),
            "torch": torch.__version__,
            "model": self.name,
            "weights_hash": self.weights_hash,
            "config": json.loads(json.dumps(asdict(self.config))),
            "image": {"sha256": image_sha256(photo), "width": photo.width, "height": photo.height},
            "input_size": [int(h), int(w)],
            "sites": sites,
            "edits": [],
            "seed": None,
        }
        return self._finish(recorder, meta, jpeg.getvalue())

    def rerun(self, trace: Trace, edits: Sequence[Edit], sites: str | Iterable[str] | None = None) -> Trace:
        """Run again from the earliest edited stage; edits of `trace` itself are kept and the new ones come after.

        The carry of the earlier stages comes from the trace; `sites` replaces its choice of what is kept. Raises
        InputError for a trace of other weights or with denoising queries, and for an edit that does not fit; KeyError
        for an unknown site.
        """
        self._check_weights(trace)
        if "denoising" in trace.meta:
            raise InputError("A trace with denoising queries cannot be run again; re-run the one it was made from.")
        every = [from_dict(data) for data in trace.meta["edits"]] + list(edits)
        made = plan(every, self.config, self.config.num_queries)
        kept = trace.meta["sites"] if sites is None else sites if isinstance(sites, str) else list(sites)
        recorder = Recorder(keeper(kept, self.site_names), self.device, made.editors)
        with torch.inference_mode():
            maps = self._maps(trace)
            if made.from_selection:
                with recording(recorder):
                    try:
                        selection = self.model.query_selection(maps, **made.select)
                    except ValueError as error:  # more queries than tokens
                        raise InputError(str(error)) from None
            else:
                selection = self._selection(trace, maps)
            with recording(recorder):
                self.model.predict(selection, **made.predict)
        meta = trace.meta | {"edits": [to_dict(edit) for edit in every], "sites": kept}
        later = LATER_STAGES if made.from_selection else LATER_STAGES[1:]
        return self._finish(recorder, meta, trace.photo_jpeg, earlier=trace, later=later)

    def trace_denoising(self, trace: Trace, boxes: np.ndarray, labels: np.ndarray, seed: int = 0) -> Trace:
        """Run the decoder as in training, with noised copies of these objects as extra queries, and record it.

        Args:
            boxes: (n, 4) cxcywh in 0..1; labels: (n,) class indices.
            seed: of the noise.

        In the trace returned, sites of the decoder have the M denoising queries before the Q matching ones, and
        `meta["denoising"]` tells their grouping. Of the trace's edits those before the decoder stay in force. Raises
        InputError for objects that do not fit.
        """
        self._check_weights(trace)
        boxes, labels = np.asarray(boxes, dtype=np.float32), np.asarray(labels, dtype=np.int64).reshape(-1)
        if not len(labels) or boxes.shape != (len(labels), 4):
            raise InputError(
                f"Denoising needs boxes (n, 4) and n labels of at least one object, not boxes {boxes.shape} and "
                f"{len(labels)} labels."
            )
        if not self.config.num_denoising:
            raise InputError(f"The weights of {self.name} were saved without what denoising needs; it cannot be shown.")
        if len(boxes) > self.config.num_denoising:
            raise InputError(f"{len(boxes)} objects are too many; give at most {self.config.num_denoising}.")
        if labels.min() < 0 or labels.max() >= self.config.num_classes:
            raise InputError(
                f"Labels must lie between 0 and {self.config.num_classes - 1}, the classes of {self.name}."
            )
        if not ((boxes >= 0) & (boxes <= 1)).all():  # also true for NaN
            raise InputError("Boxes must be given as centre, width and height between 0 and 1, in parts of the image.")
        target = {"boxes": torch.from_numpy(boxes.copy()), "labels": torch.from_numpy(labels.copy())}
        recorder = Recorder(self._keep_again(trace), self.device)
        generator = torch.Generator(self.device).manual_seed(seed)
        with torch.inference_mode():
            selection = self._selection(trace, self._maps(trace))
            with recording(recorder):
                outputs = self.model.predict(selection, [target], generator=generator)
                # The final taps rest while every layer predicts; the matching queries' last prediction goes there.
                self.model.decoder.logits(outputs["pred_logits"])
                self.model.decoder.boxes(outputs["pred_boxes"])
        dn = outputs["dn_meta"]
        facts = {
            "num_groups": dn["dn_num_group"],
            "group_size": len(boxes),
            "num_denoising": dn["dn_num_split"][0],
            "positive": dn["dn_positive_idx"][0].tolist(),
            "targets": {"labels": labels.tolist(), "boxes": boxes.tolist()},
        }
        edits = [data for data in trace.meta["edits"] if isinstance(from_dict(data), SELECTION_EDITS)]
        meta = trace.meta | {"denoising": facts, "seed": int(seed), "edits": edits}
        return self._finish(recorder, meta, trace.photo_jpeg, earlier=trace, later=LATER_STAGES[1:])

    def weights_of(self, module: str) -> dict[str, np.ndarray]:
        """The parameters of one module by name, such as those of "decoder.layers.0.cross_attn.output_proj", as copies.

        Norms are folded into convolutions unless the detector was made with `deploy=False`.
        """
        parameters = self.modules[module].named_parameters()
        return {name: parameter.detach().float().cpu().numpy().copy() for name, parameter in parameters}

    def to_input(self, photo: Image.Image, size_hw: tuple[int, int]) -> Tensor:
        """The photo as the network takes it: 1 3 H W, RGB in 0..1, aspect ratio not kept."""
        pixels = torch.from_numpy(to_model_input(photo, size_hw).copy()).to(self.device)  # H W 3
        return (pixels.permute(2, 0, 1)[None].float() / 255).contiguous(memory_format=self.memory_format)

    def _maps(self, trace: Trace) -> list[Tensor]:
        """N3, N4, N5 from the trace, in the layout they had in the pass."""
        maps = [torch.from_numpy(trace.values[name].copy())[None].to(self.device) for name in MAPS]
        return [x.contiguous(memory_format=self.memory_format) for x in maps]

    def _selection(self, trace: Trace, maps: list[Tensor]) -> Selection:
        """What query selection handed on, rebuilt from the trace; only the memory is computed again."""
        memory, map_sizes = self.model.query_selection.flatten(maps)
        content, boxes = (
            torch.from_numpy(trace.values[f"query_selection.{name}"].copy())[None].to(self.device)
            for name in ("content", "reference_boxes")
        )
        return Selection(memory, map_sizes, content, boxes, encoder_logits=None, encoder_boxes=None)

    def _keep_again(self, trace: Trace) -> Keep:
        """The same choice of sites as the trace's."""
        return keeper(trace.meta["sites"], self.site_names)

    def _check_weights(self, trace: Trace) -> None:
        if trace.meta["weights_hash"] != self.weights_hash:
            raise InputError(
                f"This trace was made with other weights ({trace.meta['model']}); load those, or trace the image again."
            )

    def _finish(
        self,
        recorder: Recorder,
        meta: dict[str, Any],
        photo_jpeg: bytes,
        earlier: Trace | None = None,
        later: tuple[str, ...] = (),
    ) -> Trace:
        """Put the trace together; with `earlier`, everything before the stages `later` comes from that trace."""
        values, infos, shapes, times = recorder.values, recorder.sites, recorder.shapes(), stage_times(recorder.ms)
        if earlier is not None:
            values = {k: v for k, v in earlier.values.items() if stage_of(k) not in later} | values
            infos = {k: v for k, v in earlier.site_infos.items() if stage_of(k) not in later} | infos
            shapes = {k: v for k, v in earlier.shapes.items() if stage_of(k) not in later} | shapes
            times = {k: v for k, v in earlier.times_ms.items() if k not in later} | times
        outputs = [values[f"decoder.layers.{i}.output"] for i in range(ran(infos))]
        with torch.inference_mode():
            logits = [
                head(torch.from_numpy(x.copy()).to(self.device)).float().cpu().numpy()
                for head, x in zip(self.model.decoder.score_heads, outputs, strict=False)
            ]
        layer_logits = np.stack(logits)
        layer_logits.setflags(write=False)
        flops = stage_flops(self.modules, shapes)
        profile = {stage: StageProfile(count, flops[stage]) for stage, count in self.parameters.items()}
        return Trace(values, infos, {"layer_logits": layer_logits}, shapes, times, profile, photo_jpeg, meta)


def read_layer(detector: Detector, trace: Trace, layer: int) -> Reading:
    """Run the decoder again as far as this layer, with the edits of the trace, and keep what it read.

    Raises InputError for a trace of other weights or with denoising queries, or when the layer did not run.
    """
    if not 0 <= layer < trace.num_layers:
        raise InputError(f"There is no layer {layer}; choose one from 0 to {trace.num_layers - 1}.")
    site = f"decoder.layers.{layer}.cross_attn"
    names = ("value", "offsets", "output")
    stop = [] if trace.meta["edits"] else [SetLayers(layer + 1)]  # edits may concern later layers
    again = detector.rerun(trace, stop, sites=[f"{site}.{name}" for name in names])
    value, offsets, output = (again.values[f"{site}.{name}"] for name in names)
    weights = detector.weights_of(f"{site}.output_proj")
    return Reading(layer, value, offsets, output, weights["weight"], weights["bias"])


def ran(infos: dict[str, Any]) -> int:
    """Number of decoder layers that left an output."""
    return sum(
        name.startswith("decoder.layers.") and name.count(".") == 3 and name.endswith(".output") for name in infos
    )


def stage_times(ms: dict[str, float]) -> dict[str, float]:
    """Milliseconds per stage; the decoder's is without its deformable attention."""
    sampling = sum(t for name, t in ms.items() if name.endswith(".cross_attn"))
    times = {"decoder": ms["decoder"] - sampling, "deformable_attention": sampling}
    if "query_selection" in ms:
        times = {"query_selection": ms["query_selection"]} | times
    if "backbone" in ms:
        ccff = sum(ms[name] for name in FUSION)
        times = {"backbone": ms["backbone"], "aifi": ms["hybrid_encoder"] - ccff, "ccff": ccff} | times
    return times
