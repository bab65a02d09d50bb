"""From one neuron to a trained network

Reproduces: D0 §2–4 (σ(Wx+b), forward, backward, optimisers), §9 (training time), D1 §4–5 (2-10-1 perceptron)
"""
