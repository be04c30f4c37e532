"""How does what was said become speech in other languages? Once per language that has a listener (rows L1 to L6).

    logic        the state machine: transcripts and events in, captions and speech out
    lane         one language: captions and speech in the order of the clauses
    items        a transcript on its way through, and the calls that are open
    horizon      which words are new
    emitted      what was out before a restore
    state        the snapshot
    prosody      how speech keeps the speaker's dynamics
    requests     what is asked of the services, and what they answer
    listeners    the adapter to the Connections table: which languages have a listener
    dynamics     the adapter to the emotions stream: how a span was said
    translator   the adapter to Amazon Translate, with `cache` and `sentences`
    synthesizer  the adapter to Amazon Polly

Reading order: `requests`, `logic`, `lane`, `emitted`; the others when they come up.
"""
