"""`herald dlq`: records that a stage could not process, listed, shown, sent back (row S6).

store     the letters of an environment: found by a scan, read whole, marked
view      what a letter's bytes are, without what was said
redrive   sending records back: how, and what each stage makes of one that comes so late
command   the command and what it prints
"""
