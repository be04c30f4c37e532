"""Amazon Transcribe Streaming on this machine: its protocol and its limits, with an engine of our own behind them.

HTTP/2 over TLS, event streams both ways, every signature checked. The engine is a real recogniser (PocketSphinx, US
English) or one that hears tones exactly (`local.tones`), behind one contract.

Reading order, from the wire inwards::

    __main__, server      the program, its parts put together
    http2                 connections, streams, flow control; knows nothing of transcription
    service               who may have a stream
    request, errors       what was asked for; what is refused
    session, outbox       one stream: audio in, results out
    audio, eventstream    frames, and the signature of each
    results               what is heard, and its shape on the wire
    engine                the contract of a recogniser
    tone_engine           ... that hears tones
    pool, worker          ... that is PocketSphinx in processes of its own
    sphinx, stabiliser    PocketSphinx on a stream; which words of a partial can be relied on
    recognise             PocketSphinx directly on a file, to measure the streaming one by
"""
