"""The learning half: photographs of one size in, class probabilities out."""
