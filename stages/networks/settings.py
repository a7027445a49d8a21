"""How a network is run, for every section of params.yaml that runs one."""

from typing import Literal

from pydantic import Field

from stages.core.settings import Count, Settings


class InferenceSettings(Settings):
    """How a network is run."""

    batch_size: Count = Field(
        description="images in a batch of ONNX Runtime, or for a worker of a cluster; twice as many are read ahead"
    )
    engine: Literal["auto", "openvino", "onnxruntime"] = Field(
        description="`auto`: ONNX Runtime where it finds CUDA, else OpenVINO"
    )
    precision: Literal["auto", "f32", "bf16"] = Field(
        description="`auto`: bf16 where the CPU computes in it and `runtime.reproducibility` is `metrics`, else f32"
    )
