"""Fine-tuning: a pretrained model for a task of yours

Reproduces: D1 §2–3; D2 (BERT, AdamW 1e-5); D4 §3.2 (text of a given label)
"""
