"""The eight stages in order: slug to title. One page file per slug lies beside this one."""

STAGES = {
    "overview": "Overview",
    "backbone": "Backbone",
    "aifi": "AIFI",
    "ccff": "CCFF",
    "query_selection": "Query selection",
    "decoder": "Decoder",
    "deformable_attention": "Deformable attention",
    "denoising": "Denoising",
}
SUBTITLES = {
    "overview": "from pixels to boxes",
    "backbone": "three maps of the image",
    "aifi": "attention inside the coarsest map",
    "ccff": "fusion across the three maps",
    "query_selection": "which places become queries",
    "decoder": "queries refined layer by layer",
    "deformable_attention": "where a query looks",
    "denoising": "a training aid",
}
