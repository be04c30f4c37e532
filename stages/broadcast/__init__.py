"""How does it reach the listeners? In order, each once, nobody waiting for anybody else (rows B1, B2, B4).

    logic      the state machine: captions, speech and events in, deliveries begun in order, receipts out
    messages   what listeners are sent
    volume     the speaker's volume on what they hear
    lanes      what waits for one listener, and what is dropped when it is too much
    requests   what is asked of the delivery, and what it answers
    delivery   the adapter to the gateway's management API
    listeners  who listens, by the index of the Connections table

Reading order: `requests`, `logic`, `messages`, `lanes`, `delivery`.
"""
