"""Generation: one token after the other

Reproduces: D3 §6 (text generation, dialogue, stories); D2 FAQ (BLEU, ROUGE, diversity)
"""
