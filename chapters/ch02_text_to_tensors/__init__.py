"""From raw text to tensors

Reproduces: D0 §3.2.1; D4 §3.1.3; D2 FAQ (rare and unseen words)
"""
