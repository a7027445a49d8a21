"""The learning half: photographs of one size in, class probabilities out.

TensorFlow reads these variables once, when it is first imported, so they are set before any module here can
do that: no C++ chatter below errors, and Keras on TensorFlow whatever the user's own Keras configuration
says.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"
