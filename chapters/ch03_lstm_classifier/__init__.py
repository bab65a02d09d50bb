"""An LSTM that tells good reviews from bad ones

Reproduces: D0 §4.3 (news topics), §5 (embedding + LSTM classifier)
"""
