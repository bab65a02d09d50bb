"""A Transformer that translates

Reproduces: D3 §2–5 (encoder, decoder, "I love eating pizza", the loss curve, translation); D2 (Transformer)
"""
