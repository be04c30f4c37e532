/**
 * A speaker's session: the connection, the chunks on their way, and what the speaker wants of the broadcast, brought
 * about as soon as the service can be told. What is wanted counts here at once: nothing is sent that was said after
 * "mute" was pressed, whether or not the service knows of it yet.
 */

import { Connection, realClock } from "../common/connection.js";
import { INITIAL_STATE, WELCOMES, address, reduce } from "../common/protocol.js";
import { Outgoing, base64 } from "./outgoing.js";

/** @typedef {import("../common/protocol.js").Message} Message */
/** @typedef {import("./chunks.js").Chunk} Chunk */
/** @typedef {{isPaused: boolean, isMuted: boolean, volume: number}} Wants */

/** More than this waiting in the browser means that the network is full; chunks are better kept here. */
const MAX_BUFFERED_BYTES = 64 * 1024;
const PUMP_MS = 25;
const ASK_AGAIN_MS = 4_000;

export class Session {
  /**
   * @param {string} ws
   * @param {{token: string, sourceLanguage: string, sessionId?: string}} who sessionId: one to come back to
   * @param {{onChange: () => void, onMessage: (message: Message) => void}} listener
   * @param {Partial<import("../common/connection.js").Options>} [outside] for tests
   */
  constructor(ws, who, listener, outside = {}) {
    this._ws = ws;
    this._who = who;
    this._listener = listener;
    this._clock = outside.clock ?? realClock;
    this.sessionId = who.sessionId ?? "";
    this._counts = false; // whether the service knows this page's numbers
    this.state = INITIAL_STATE;
    /** @type {Wants | null} null: whatever the service says */
    this.wants = null;
    this.isEnding = false;
    this.isOver = false;
    this.outgoing = new Outgoing();
    /** What undoes the next look at what can be sent. */
    this._undoPump = () => {};
    /** @type {Map<string, number>} when each change was asked for */
    this._asked = new Map();
    this.connection = new Connection({
      url: () => this._url(),
      refreshUrl: () => this._refreshUrl(),
      onMessage: (message) => this._received(message),
      onState: (state) => this._moved(state),
      ...outside,
    });
  }

  _url() {
    const { token, sourceLanguage } = this._who;
    if (!this.sessionId) return address(this._ws, { action: "createSession", token, sourceLanguage });
    return this._returning("resumeSession");
  }

  _refreshUrl() {
    return this.sessionId ? this._returning("refreshConnection") : null;
  }

  /** @param {string} action */
  _returning(action) {
    const { sessionId } = this;
    const continueSequence = String(this._counts);
    return address(this._ws, { action, sessionId, token: this._who.token, continueSequence });
  }

  /** A chunk was captured. @param {Chunk} chunk */
  take(chunk) {
    if (this.isSilent || this.isOver) return;
    this.outgoing.add(base64(chunk.pcm), chunk.capturedMs, this._clock.now());
    this.pump();
  }

  /** Whether the speaker wants nothing to be heard. */
  get isSilent() {
    const wanted = this.wants ?? this.state;
    return wanted.isMuted || wanted.isPaused || this.isEnding;
  }

  /** @param {Partial<Wants>} change */
  want(change) {
    const { isPaused, isMuted, volume } = this.wants ?? this.state;
    this.wants = { isPaused, isMuted, volume, ...change };
    this._bringAbout();
    this._listener.onChange();
  }

  /** End it, as soon as the service can be told. */
  end() {
    this.isEnding = true;
    this._bringAbout();
    this._listener.onChange();
  }

  /** Leave the session, without ending it. */
  leave() {
    this.isOver = true;
    this._undoPump();
    this.connection.close();
  }

  /** Send what can be sent. */
  pump() {
    this._undoPump();
    const now = this._clock.now();
    if (this.outgoing.giveUpWaiting(now)) this.connection.probe();
    this._bringAbout();
    const isShut = this.state.isMuted || this.state.isPaused;
    while (this.connection.state === "open" && !isShut && this.connection.bufferedBytes < MAX_BUFFERED_BYTES) {
      const item = this.outgoing.take(now);
      if (!item) break;
      const { sequence, capturedMs: timestamp, audioData } = item;
      this.connection.send({ action: "sendAudio", sessionId: this.sessionId, sequence, timestamp, audioData });
    }
    if (this.outgoing.behindMs(now) > 0 && !this.isOver) this._undoPump = this._clock.after(PUMP_MS, () => this.pump());
  }

  /** Ask for what is wanted and is not so yet. */
  _bringAbout() {
    const { state } = this;
    const wanted = this.wants ?? state;
    this._ask("isMuted", wanted.isMuted !== state.isMuted, { action: wanted.isMuted ? "muteBroadcast" : "unmuteBroadcast" });
    this._ask("isPaused", wanted.isPaused !== state.isPaused, { action: wanted.isPaused ? "pauseBroadcast" : "resumeBroadcast" });
    const volumeLevel = wanted.volume;
    this._ask("volume", Math.abs(volumeLevel - state.volume) > 0.001, { action: "setVolume", volumeLevel });
    this._ask("end", this.isEnding && !this.isOver, { action: "endSession" });
  }

  /** @param {string} what @param {boolean} isDue @param {object} message */
  _ask(what, isDue, message) {
    if (!isDue) return;
    const now = this._clock.now();
    if (now - (this._asked.get(what) ?? -Infinity) < ASK_AGAIN_MS) return;
    if (this.connection.send({ ...message, sessionId: this.sessionId })) this._asked.set(what, now);
  }

  /** @param {import("../common/connection.js").State} state */
  _moved(state) {
    if (state === "waiting" || state === "refused") {
      this.outgoing.onDisconnected();
      this._asked.clear();
    }
    this._listener.onChange();
  }

  /** @param {Message} message */
  _received(message) {
    if (WELCOMES.has(message.type)) this._welcomed(message);
    else if (message.type === "audioReceived") this.outgoing.onAcknowledged(message.sequence);
    else if (message.type === "error") this._refused(message);
    else if (message.type === "sessionEnded") this.leave();
    const before = this.state;
    this.state = reduce(this.state, message);
    if (this.state !== before) this._settled(before);
    const isShut = (/** @type {Wants} */ state) => state.isMuted || state.isPaused;
    if (isShut(this.state) && !isShut(before)) this.outgoing.onShut();
    this.pump();
    if (message.type === "audioReceived") return;
    this._listener.onMessage(message);
    this._listener.onChange();
  }

  /** @param {Message} message */
  _welcomed(message) {
    this.sessionId = message.sessionId;
    this._counts = true;
    this._asked.clear();
    this.connection.send({ action: "getSessionStatus", sessionId: this.sessionId });
  }

  /** Something changed: what was not asked for here has another source, and counts. @param {Wants} before */
  _settled(before) {
    for (const [name, was] of Object.entries({ isPaused: before.isPaused, isMuted: before.isMuted, volume: before.volume })) {
      const field = /** @type {"isPaused" | "isMuted" | "volume"} */ (name);
      const isOwn = this._asked.has(field) || this.connection.state !== "open";
      if (this.state[field] !== was && this.wants && !isOwn) Object.assign(this.wants, { [field]: this.state[field] });
      if (this.wants && this.state[field] !== was) this._asked.delete(field);
    }
  }

  /** @param {Message} message */
  _refused(message) {
    const sequence = message.details?.sequence;
    if (sequence !== undefined) {
      this.outgoing.onRefused(sequence, message.code, this._clock.now());
    } else if (!this.isEnding) {
      this.wants = null; // it cannot be had; what the service has counts
      this._asked.clear();
    }
    if (message.code === "SESSION_NOT_FOUND") this.leave();
  }
}
