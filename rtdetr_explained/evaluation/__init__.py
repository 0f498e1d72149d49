"""How good a detector is: COCO average precision of its detections."""
