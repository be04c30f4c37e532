"""How do people run it? The `herald` command.

    main         where it begins; a Ctrl-C is quiet
    commands     the commands and their options
    supervisor   `up`: starts the parts, watches them, stops them
      parts      which programs there are, what each needs first, what each is told
      children   one running program: its log, its `ready` line, its end
      guard      the process that ends what a killed supervisor leaves behind
      control    the supervisor's socket: `herald restart PART`
      stack_file `.herald/stack.json`: where the running stack is, for people and programs
    demo         `demo`: a speaker, a listener per language, and what became of every word
      audio_files  recordings to what the protocol takes
      speaker, listener   the two ends of the WebSocket
      observed     what an engineer sees: the session's records, followed in the streams
      account      what was lost, twice, out of order, or never recognised
      hops         where the time went
      report       the object of `--json`, and the text for people
      verdict      whether the talk came through: the exit code
      sound, page, picture   what the demo leaves in a folder
    environment  which environment the commands below act on: the local stack, else the shell's
    audit/       `audit`: what became of every word of a session
    dlq/         `dlq`: records that could not be processed
    times        moments as people write them
    patience     trying again what failed in passing

Start with `commands`, then `supervisor` or `demo`. Nothing here is imported by the system that it runs.
"""
