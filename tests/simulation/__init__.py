"""Does anything get lost, doubled or stuck? The real driver and runner on simulated services, thousands of times.

`loop` is a deterministic event loop with a simulated clock and processes that can be paused or killed; `network` says
what becomes of a request; `kinesis` and `tables` are the services; `stages` what is run; `plan` what goes wrong, by
seed; `world` puts it together; `checks` is what must hold. Replay a seed with `python -m tests.simulation --seed N`.
"""
