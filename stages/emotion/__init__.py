"""How is it said? Loudness, pace and brightness of the voice, and the quality of the audio (rows E1 to E4, A5).

    logic        the state machine: chunks in, emotion frames and quality reports out, what is done
    spans        hops become spans of 500 ms: what is speech, its level, its onsets
    engine       what an engine measures, and the definition that all engines share
    incremental  the default engine: NumPy only, each sample transformed once
    reference    the same figures by librosa on a sliding window; the only file that imports it
    mel          the mel filters, in NumPy
    quality      signal-to-noise ratio, clipping, echo, silence
    alerts       what of that the speaker is told, and when
    requests     what is asked of the speaker's connection
    speaker      posts it there
    state        the snapshot
    settings     what is read from the environment

Reading order: `engine`, `spans`, `logic`, `quality`; the others when they come up. NumPy's linear algebra must be kept
to one thread (`__main__` sees to it): with a thread per core, a busy machine took 24 ms for what takes 0.25.
"""
