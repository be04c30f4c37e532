"""What is done with a session's records? Four state machines, each a process, each on streams of its own.

    transcribe  audio to what was said            audio -> transcripts
    emotion     audio to how it was said          audio -> emotions
    translate   what and how to speech            transcripts (and emotions) -> speech
    broadcast   speech to listeners               speech -> receipts

In each, read `logic` first: it is the stage. `definition` ties it to its services and settings.
"""
