/**
 * A WebSocket that comes back by itself (rows W11, W12, W17): it dials, waits for the welcome, keeps itself alive, finds
 * out when it is dead, dials again after a growing while, and moves to a new socket before the old one's time is up.
 *
 * Time, chance and sockets come from outside, so that it is tested without any of them.
 */

import { WELCOMES, parse } from "./protocol.js";

/** @typedef {import("./protocol.js").Message} Message */
/**
 * dialing: on its way in. open: the service has said welcome. waiting: it was cut, and is dialed again in a while.
 * refused: the service is there, but does not let this client in. closed: by us.
 * @typedef {"dialing" | "open" | "waiting" | "refused" | "closed"} State
 */
/**
 * @typedef {object} Options
 * @property {(isReturn: boolean) => string} url what to dial: first, and when it comes back
 * @property {() => string | null} [refreshUrl] what to dial before this socket's time is up; null: cannot be done
 * @property {(message: Message) => void} onMessage
 * @property {(state: State, waitMs: number) => void} onState waitMs: until it is dialed again
 * @property {(url: string) => any} [open] a WebSocket
 * @property {(url: string) => Promise<boolean>} [reaches] whether anybody is there at all
 * @property {{now: () => number, after: (ms: number, act: () => void) => () => void}} [clock] after: returns its undoing
 * @property {() => number} [uniform] a draw from [0, 1)
 */

/** Well below the 90 s after which a silent connection is dropped, so that a dead one is noticed soon. */
export const HEARTBEAT_MS = 15_000;
/** An answer that takes longer will not come. */
export const ANSWER_MS = 8_000;
const WELCOME_MS = 12_000;
const BASE_MS = 400;
const CAP_MS = 10_000;
/** Who is refused so often in a row, by a service that is there, will be refused again. */
const REFUSALS = { first: 1, return: 4 };
/** The gateway closes every connection after 2 h. */
const REFRESH_AFTER_MS = 100 * 60_000;
/** Both sockets are read for so long, so that nothing is lost between them; repeats are dropped by whoever reads. */
const OVERLAP_MS = 2_000;

export class Connection {
  /** @param {Options} options */
  constructor(options) {
    this._options = { open: openSocket, reaches, clock: realClock, uniform: Math.random, ...options };
    this.state = /** @type {State} */ ("closed");
    this._socket = null;
    this._following = null; // a socket that is to take over
    this._hasBeenIn = false;
    this._failures = 0;
    this._refusals = 0;
    /** @type {Map<string, () => void>} what undoes each timer */
    this._timers = new Map();
    this._heardMs = 0;
    this._notBeforeMs = 0; // how long the service has asked to be left alone, once it is gone
  }

  /** Dial; also at once while it waits. */
  dial() {
    this._undoAll();
    this._drop(this._socket);
    this._set("dialing");
    this._socket = this._listen(this._options.open(this._options.url(this._hasBeenIn)));
    this._after("welcome", WELCOME_MS, () => this._socket?.close());
  }

  /** Hang up, for good. */
  close() {
    this._undoAll();
    this._drop(this._socket);
    this._drop(this._following);
    this._socket = this._following = null;
    this._set("closed");
  }

  /** Send, if it is open. @param {object} message @returns {boolean} */
  send(message) {
    if (this.state !== "open" || this._socket?.readyState !== 1) return false;
    this._socket.send(JSON.stringify(message));
    return true;
  }

  /** Bytes that the network has not taken yet. */
  get bufferedBytes() {
    return this._socket?.bufferedAmount ?? 0;
  }

  /** Ask whether the service is still there; if nothing comes within `ms`, dial again. One question at a time. */
  probe(ms = ANSWER_MS) {
    if (this.state !== "open" || this._timers.has("answer")) return;
    const askedMs = this._options.clock.now();
    this.send({ action: "heartbeat" });
    this._after("answer", ms, () => {
      if (this._heardMs < askedMs) this._lost(this._socket);
    });
  }

  /** Move to a new socket; the old one is read until the new one has taken over, and a little longer. */
  refresh() {
    const url = this._options.refreshUrl?.();
    if (this.state !== "open" || this._following || !url) return;
    this._following = this._listen(this._options.open(url));
    this._after("following", WELCOME_MS, () => this._abandon());
  }

  /** @param {any} socket */
  _listen(socket) {
    socket.onmessage = (/** @type {{data: unknown}} */ event) => this._received(socket, event.data);
    socket.onclose = () => this._lost(socket);
    socket.onerror = () => {}; // `close` follows
    return socket;
  }

  /** @param {any} socket @param {unknown} data */
  _received(socket, data) {
    const message = parse(data);
    if (!message) return;
    this._heardMs = this._options.clock.now();
    if (WELCOMES.has(message.type)) this._welcomed(socket);
    if (message.type === "connectionWarning") {
      this._after("refresh", this._options.uniform() * 2_000, () => this.refresh());
    }
    if (message.type === "serverDraining") {
      this._notBeforeMs = (message.reconnectAfterSeconds ?? 0) * 1_000 * (1 + this._options.uniform() / 2);
    }
    if (message.type !== "heartbeatAck") this._options.onMessage(message);
  }

  /** @param {any} socket */
  _welcomed(socket) {
    if (socket === this._following) {
      const old = this._socket;
      this._following = null;
      this._socket = socket;
      this._undo("following");
      this._options.clock.after(OVERLAP_MS, () => this._drop(old));
    }
    if (socket !== this._socket) return;
    this._undo("welcome");
    this._hasBeenIn = true;
    this._failures = this._refusals = 0;
    this._after("refresh", REFRESH_AFTER_MS, () => this.refresh());
    this._beat();
    this._set("open");
  }

  _beat() {
    this._after("beat", HEARTBEAT_MS, () => {
      this.probe();
      this._beat();
    });
  }

  _abandon() {
    this._undo("following");
    this._drop(this._following);
    this._following = null;
    this._after("refresh", 60_000, () => this.refresh());
  }

  /** @param {any} socket */
  _lost(socket) {
    if (socket === this._following) return this._abandon();
    if (socket !== this._socket || this.state === "closed") return undefined;
    const wasOpen = this.state === "open";
    this._undoAll();
    this._drop(socket);
    this._drop(this._following);
    this._socket = this._following = null;
    if (wasOpen) return this._again();
    return this._judge();
  }

  /** It was not let in: by the service, or because nobody is there? Browsers do not say; asking anything does. */
  async _judge() {
    const isThere = await this._options.reaches(this._options.url(this._hasBeenIn));
    if (this._socket || this.state !== "dialing") return;
    this._refusals = isThere ? this._refusals + 1 : 0;
    if (this._refusals >= (this._hasBeenIn ? REFUSALS.return : REFUSALS.first)) this._set("refused");
    else this._again();
  }

  _again() {
    const most = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(this._failures, 10));
    const waitMs = Math.round(Math.max((most * (1 + this._options.uniform())) / 2, this._notBeforeMs));
    this._notBeforeMs = 0;
    this._failures += 1;
    this._set("waiting", waitMs);
    this._after("dial", waitMs, () => this.dial());
  }

  /** @param {any} socket */
  _drop(socket) {
    if (!socket) return;
    socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  /** @param {State} state */
  _set(state, waitMs = 0) {
    if (this.state === state && state === "open") return;
    this.state = state;
    this._options.onState(state, waitMs);
  }

  /** @param {string} name @param {number} ms @param {() => void} act */
  _after(name, ms, act) {
    this._undo(name);
    const undo = this._options.clock.after(ms, () => {
      this._timers.delete(name);
      act();
    });
    this._timers.set(name, undo);
  }

  /** @param {string} name */
  _undo(name) {
    this._timers.get(name)?.();
    this._timers.delete(name);
  }

  _undoAll() {
    for (const undo of this._timers.values()) undo();
    this._timers.clear();
  }
}

/** @param {string} url */
const openSocket = (url) => new WebSocket(url);

/**
 * Whether anything answers there, whatever it says.
 * @param {string} url
 */
async function reaches(url) {
  const plain = new URL(url);
  plain.protocol = plain.protocol === "wss:" ? "https:" : "http:";
  plain.search = ""; // it may hold a token
  try {
    await fetch(plain, { mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(5_000) });
    return true;
  } catch {
    return false;
  }
}

export const realClock = {
  now: () => performance.now(),
  /** @param {number} ms @param {() => void} act */
  after(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};
