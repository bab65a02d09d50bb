"""Speed measured side by side: ``python -m tests.benchmarks --help``. Pytest runs none of it.

``workloads`` says what is trained, a module ``peers_*`` how one library does it, ``worker`` runs one variant of a peer
in a process of its own, ``race`` lets all variants of a workload take turns, ``goals`` judges, ``report`` writes down.
"""
