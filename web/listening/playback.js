/**
 * When each part of speech sounds: in order, each once, parts of a clause joined without a gap. Pure; times are frames
 * of the audio clock.
 *
 * A clause begins as soon as its first part is there and what was before it has sounded, a little later (`leadFrames`)
 * so that its other parts have come when they are due. A part that comes too late leaves a gap, and makes the lead
 * longer; clauses that come with time to spare make it shorter again.
 */

/** @typedef {import("../common/protocol.js").Message} Message */
/** @typedef {{samples: Float32Array, startFrame: number, joins: boolean, isLast: boolean}} Due */
/**
 * @typedef {{key: string, language: string, sequence: number, epoch: number, parts: Map<number, Float32Array>,
 *            count: number, cameFrame: number, spareFrames: number}} Clause
 */

const MIN_LEAD_S = 0.06;
const MAX_LEAD_S = 1.2;
/** A part must be there so long before it is due, or it is too late to join. */
const MARGIN_S = 0.015;
/** How far ahead parts are given to the sound card: more than a busy page's timers are ever late. */
const HORIZON_S = 1.5;
/** How long a part or a clause that is missing is waited for, once it is due and others have come. */
const MISSING_S = 0.6;
/** Speech that waits longer than this is left to the captions, the oldest first: a talk is to be followed live. */
const MAX_BEHIND_S = 30;
const REMEMBERED = 500;

export class Playback {
  /** @param {number} rateHz of the audio clock */
  constructor(rateHz) {
    this._rate = rateHz;
    this.leadFrames = Math.round(0.1 * rateHz);
    this.late = 0; // parts that came too late to join
    this.lost = 0; // parts that never came
    this.repeats = 0;
    this.dropped = 0; // clauses that had waited too long
    this._cursor = 0; // where what has been given out ends
    /** @type {Clause[]} */
    this._waiting = [];
    /** @type {Clause | null} */
    this._current = null;
    this._part = 0;
    this._stuckSince = -1;
    this._epoch = 0;
    /** @type {Map<string, Clause | null>} clauses that are known: null once they have been played or dropped */
    this._known = new Map();
    /** @type {Map<string, number>} by language, the sequence of the first clause heard */
    this._first = new Map();
    /** @type {Map<string, number>} by language, the sequence that is next */
    this._next = new Map();
  }

  /**
   * A part came. Returns whether it is new.
   * @param {Message} message @param {Float32Array} samples @param {number} nowFrame
   */
  take(message, samples, nowFrame) {
    const key = `${message.utteranceId}/${message.clause}`;
    const clause = this._known.has(key) ? this._known.get(key) : this._open(key, message, nowFrame);
    if (!clause || clause.language !== message.language || clause.parts.has(message.part)) {
      this.repeats += 1;
      return false;
    }
    clause.parts.set(message.part, samples);
    if (clause === this._current && message.part < this._part) return false; // its place has been passed
    if (clause === this._current) {
      clause.spareFrames = Math.min(clause.spareFrames, this._cursor - nowFrame);
    }
    return true;
  }

  /** @param {string} key @param {Message} message @param {number} nowFrame */
  _open(key, message, nowFrame) {
    const { language, sequence } = message;
    if (!this._first.has(language)) this._first.set(language, sequence);
    const isEarlier = sequence < (this._first.get(language) ?? 0) || sequence < (this._next.get(language) ?? 0);
    if (this._waiting.at(-1)?.language !== language) this._epoch += 1;
    const clause = {
      key,
      language,
      sequence,
      epoch: this._epoch,
      parts: new Map(),
      count: message.parts,
      cameFrame: nowFrame,
      spareFrames: Infinity,
    };
    this._remember(key, isEarlier ? null : clause);
    if (isEarlier) return null;
    this._waiting.push(clause);
    this._waiting.sort((a, b) => a.epoch - b.epoch || a.sequence - b.sequence);
    while (this._waiting.length > 1 && this.behindS(nowFrame) > MAX_BEHIND_S) this._drop();
    return clause;
  }

  /** The oldest that waits is not heard. */
  _drop() {
    const oldest = /** @type {Clause} */ (this._waiting.shift());
    this.dropped += 1;
    this._known.set(oldest.key, null);
    this._next.set(oldest.language, Math.max(this._next.get(oldest.language) ?? 0, oldest.sequence + 1));
  }

  /** @param {string} key @param {Clause | null} clause */
  _remember(key, clause) {
    this._known.set(key, clause);
    if (this._known.size > REMEMBERED) this._known.delete(/** @type {string} */ (this._known.keys().next().value));
  }

  /**
   * The next part to give to the sound card, or null if none is due yet.
   * @param {number} nowFrame @returns {Due | null}
   */
  next(nowFrame) {
    for (;;) {
      if (!this._current && !this._begin(nowFrame)) return null;
      const clause = /** @type {Clause} */ (this._current);
      if (this._cursor - nowFrame > HORIZON_S * this._rate) return null;
      const samples = clause.parts.get(this._part);
      if (samples) return this._give(clause, samples, nowFrame);
      if (!this._isGivenUp(clause, nowFrame)) return null;
      this.lost += 1;
      this._pass(clause);
    }
  }

  /** @param {number} nowFrame */
  _begin(nowFrame) {
    const head = this._waiting[0];
    if (!head) return false;
    const expected = this._next.get(head.language);
    const isNext = expected === undefined || head.sequence <= expected;
    if (!isNext && nowFrame - Math.max(head.cameFrame, this._cursor) < MISSING_S * this._rate) return false;
    this._waiting.shift();
    this._current = head;
    this._part = 0;
    this._next.set(head.language, head.sequence + 1);
    return true;
  }

  /** @param {Clause} clause @param {Float32Array} samples @param {number} nowFrame @returns {Due} */
  _give(clause, samples, nowFrame) {
    const isFirst = this._part === 0;
    const inTime = this._cursor - nowFrame >= MARGIN_S * this._rate;
    if (!isFirst && !inTime) {
      this.late += 1;
      this._lead(this.leadFrames * 1.5 + 0.05 * this._rate);
    }
    const startFrame = inTime ? this._cursor : nowFrame + this.leadFrames;
    const due = { samples, startFrame, joins: !isFirst && inTime, isLast: this._part === clause.count - 1 };
    this._cursor = startFrame + samples.length;
    this._stuckSince = -1;
    this._pass(clause);
    return due;
  }

  /** @param {Clause} clause */
  _pass(clause) {
    this._part += 1;
    if (this._part < clause.count) return;
    if (clause.spareFrames > 2 * this.leadFrames) this._lead(this.leadFrames * 0.95);
    this._known.set(clause.key, null);
    this._current = null;
    this._stuckSince = -1;
  }

  /** @param {number} frames */
  _lead(frames) {
    this.leadFrames = Math.round(Math.min(MAX_LEAD_S * this._rate, Math.max(MIN_LEAD_S * this._rate, frames)));
  }

  /** Whether the missing part is waited for no longer. @param {Clause} clause @param {number} nowFrame */
  _isGivenUp(clause, nowFrame) {
    if (nowFrame < this._cursor) return false;
    if (this._stuckSince < 0) this._stuckSince = nowFrame;
    const laterCame = this._waiting.length > 0 || [...clause.parts.keys()].some((part) => part > this._part);
    const patience = (laterCame ? 1 : 5) * MISSING_S;
    return nowFrame - this._stuckSince >= patience * this._rate;
  }

  /** Whether something is there that has not been given out. */
  get isBusy() {
    return this._current !== null || this._waiting.length > 0;
  }

  /** Seconds of speech that are there and have not sounded. @param {number} nowFrame */
  behindS(nowFrame) {
    let frames = Math.max(0, this._cursor - nowFrame);
    const clauses = this._current ? [this._current, ...this._waiting] : this._waiting;
    for (const clause of clauses) {
      for (const [part, samples] of clause.parts) {
        if (clause !== this._current || part >= this._part) frames += samples.length;
      }
    }
    return frames / this._rate;
  }

  /** Forget what waits: what comes next is heard at once. @param {number} nowFrame */
  skip(nowFrame) {
    for (const clause of this._current ? [this._current, ...this._waiting] : this._waiting) {
      this._known.set(clause.key, null);
      this._next.set(clause.language, Math.max(this._next.get(clause.language) ?? 0, clause.sequence + 1));
    }
    this._waiting = [];
    this._current = null;
    this._stuckSince = -1;
    this._cursor = nowFrame;
  }
}

/**
 * The samples of a message: PCM16LE in base64, as numbers from -1 to 1.
 * @param {string} audioData
 */
export function decode(audioData) {
  const binary = atob(audioData);
  const samples = new Float32Array(binary.length >> 1);
  for (let i = 0; i < samples.length; i++) {
    const value = binary.charCodeAt(2 * i) | (binary.charCodeAt(2 * i + 1) << 8);
    samples[i] = (value < 32768 ? value : value - 65536) / 32768;
  }
  return samples;
}
