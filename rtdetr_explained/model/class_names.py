"""Class names of the published COCO models and of the two embedded ones, in the order of their logits."""

# Contiguous index order of the 80 COCO categories.
COCO_CLASSES = tuple(
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush".split(",")
)

# The 20 classes of Pascal VOC under the names that COCO gives them; trained weights depend on the order.
VOC_CLASSES = tuple(
    "person,bicycle,car,motorcycle,airplane,bus,train,boat,bird,cat,dog,horse,sheep,cow,bottle,chair,couch,"
    "potted plant,dining table,tv".split(",")
)

# The shapes that `rtdetr_explained.data.shapes` draws; trained weights depend on the order.
SHAPE_CLASSES = (
    "circle",
    "ring",
    "ellipse",
    "square",
    "triangle",
    "star",
    "heart",
    "cross",
    "crescent",
    "arrow",
    "hourglass",
    "bolt",
)
