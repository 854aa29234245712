"""The optional neural engine: small decoders by transformers, LoRA by PEFT.

`python -m include.nemo_local --engine neural` chooses it. `engine.NeuralEngine` is its face; importing that
module needs the extra ``neural``, importing this package does not.
"""
