/**
 * Time and sockets of a test's own.
 */

export class World {
  constructor() {
    this.nowMs = 0;
    this.timers = [];
    this.sockets = [];
    this.messages = [];
    this.states = [];
    this.isReachable = true;
    this.listener = { onChange: () => {}, onMessage: (message) => this.messages.push(message) };
    this.outside = {
      open: (url) => {
        this.sockets.push(new Socket(url));
        return this.socket;
      },
      reaches: async () => this.isReachable,
      uniform: () => 0,
      clock: {
        now: () => this.nowMs,
        after: (ms, act) => {
          const timer = { at: this.nowMs + ms, act };
          this.timers.push(timer);
          return () => (this.timers = this.timers.filter((other) => other !== timer));
        },
      },
    };
  }

  /** The one that was opened last. */
  get socket() {
    return this.sockets.at(-1);
  }

  /** Let so much time go by. */
  pass(ms) {
    const until = this.nowMs + ms;
    for (;;) {
      this.timers.sort((a, b) => a.at - b.at);
      if (!this.timers.length || this.timers[0].at > until) break;
      const { at, act } = this.timers.shift();
      this.nowMs = at;
      act();
    }
    this.nowMs = until;
  }
}

class Socket {
  constructor(url) {
    this.url = url;
    this.readyState = 1;
    this.bufferedAmount = 0;
    this.sent = [];
    this.isClosed = false;
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.isClosed = true;
    this.readyState = 3;
  }

  /** The service says something. */
  says(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** The network cuts it. */
  cut() {
    this.readyState = 3;
    this.onclose?.({});
  }
}
