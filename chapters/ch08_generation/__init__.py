"""Generation: one token after the other

Reproduces: D2 FAQ and D3 §6 (text generation, dialogue, stories; BLEU, ROUGE, diversity)
"""
