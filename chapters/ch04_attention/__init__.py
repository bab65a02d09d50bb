"""Attention: who looks at whom

Reproduces: D3 §2–4 (attention, scaling, heads, positions), D2 (Transformer architecture)
"""
