"""Amazon Polly, on this machine: the service's REST protocol before eSpeak NG in worker processes.

Reading order:

- `voices`      the voices on offer: Polly's ids, and the eSpeak voice that speaks for each
- `ssml`        SSML read strictly, as the service does: a document becomes a score of parts
- `levels`      what the names of volumes, rates, pitches and pauses mean in numbers
- `score`       the parts: text with its prosody, pauses, marks; what a worker is asked for
- `sound`       the arithmetic on samples: trimming, stretching, gain, resampling, G.711
- `espeak`      the C library by `ctypes`
- `worker`      the process that turns a score into sound: `python -m local.polly.worker`
- `synthesizer` a worker as the server sees it
- `marks`       speech marks: when which word, sentence or mark is heard
- `wire`        requests, answers and errors, as the service spells them
- `server`      the aiohttp shell: `python -m local.polly --port N`
"""
