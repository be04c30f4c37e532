"""`herald audit`: what became of every word of a session, from the streams and tables alone.

    evidence     what was read: a session's records with their places, its dead letters, who listened when
    result       what comes out: counts, findings and notes; the object of `--json`
    rules        `audit(evidence)`: the whole, pure
      sound      capture sequence, media clock, audio that nothing covers
      words      utterances, clauses, finals: what was committed
      languages  captions and speech of each language, beside what was committed
      receipts   what listeners got, and that they were told of the end
    reader       reads the evidence from an environment, gently
    shown        the same for people

A finding is something off, named in a plain sentence with its place; the command then exits with 1. A note is worth
knowing and nothing is off. What comes twice by the streams' at-least-once is counted apart and is neither.
"""
