"""ACE, the autonomous cognitive experiment: a sentence becomes a claim, a claim a plan, and numbers a verdict.

Pure Python and NumPy: nothing here knows the graph, the network or JAX.

    grammar (claims.lark) → claims → expansion, power → sequential → verdicts
    shadows: what several members must agree on before their word counts
"""
