"""A local stand-in for NVIDIA NeMo Microservices: the same REST contract, small honest models.

It is no NeMo: its latencies are simulated and labelled so. ``python -m include.nemo_local`` serves it.
"""
