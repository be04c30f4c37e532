"""Amazon Translate, on this machine: the service's JSON protocol before resident Apertium pipelines.

Reading order:

- `languages`    which codes the service would use, and what they are called
- `routes`       which pairs the installed Debian packages allow, directly or by pivot
- `text`         what has to be done to a text so that Apertium neither hangs nor loses any of it
- `pipeline`     one resident pipeline: a chain of processes that answers one request at a time
- `engine`       routes and pools of pipelines put together: text in, translation out
- `terminology`  custom terminologies: the CSV, and how its terms are kept through a translation
- `wire`         requests, answers and errors, as the service spells them
- `server`       the aiohttp shell: `python -m local.translate --port N`
"""
