"""How does speech become text? One long-lived recogniser stream per session (rows T1 to T8).

    logic       the state machine: chunks and events in, transcripts out, what is done
    feeding     one session's recogniser streams: opening, pace, silence, reconnection, rollover
    feed        one stream: what it was given, and where its times lie on the media clock
    audio       the audio that may have to be fed again
    utterances  results become partials, clauses and finals
    clauses     where a clause ends
    horizon     which words are new (the rule that makes kills and reconnections harmless)
    speaker_clock  when something was said, on our own clock
    state       the snapshot
    requests    what is asked of the recogniser, and what it answers
    recogniser  the adapter to Amazon Transcribe Streaming; the only file that imports its client

Reading order: `requests`, `logic`, `utterances`, `feeding`; the others when they come up.
"""
