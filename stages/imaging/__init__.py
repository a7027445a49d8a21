"""The picture half: images, boxes, masks and the networks that find them."""
