"""The same system on one machine: the AWS services that Herald needs, real engines behind their real wire protocols.

A *twin* is a program that the real client of a service cannot tell from the service: same protocol, same shapes,
same limits, signatures checked. There is no second code path "for local": a stage is pointed at a twin by its
endpoint and nothing else. Faults are switched on in the twins, so the clients' handling of them is tested too.

Reading order:

- ``process.py``: what every twin's program shares: its arguments, the ``ready`` line, logs, the end on SIGTERM.
- ``sigv4.py``: the check of AWS signatures, of requests and of event-stream chunks.
- ``faults.py``: what can be made to go wrong, as data.
- ``control.py``: the control plane over plain HTTP, for twins whose own port cannot carry it.
- ``say.py``: talks of numbered words, as files.
- ``proxy.py``: a TCP proxy whose network fails, for services that cannot fail themselves.
- ``certificates.py``: a local authority and a server certificate, for the one service that insists on TLS.
- ``tones.py``: numbered words coded as tones, for tests that account for every word.
- then one folder per twin.
"""
