/**
 * A speaker's chunks on their way: in order, sent again when they must be, bounded. Pure; times are milliseconds of any
 * steady clock.
 *
 * The rules are those of `ops/outgoing.py`: a chunk that was refused in passing, or never answered, goes again with its
 * own sequence and time, after a while that grows; until it is there one chunk at a time is sent, the earliest first.
 * When the connection is lost, all that was not acknowledged waits for the next one.
 */

import { AGAIN } from "../common/protocol.js";

export const ANSWER_WITHIN_MS = 5_000;
const MAX_IN_FLIGHT = 20;
/** 40 chunks a second at the most, where 50 are allowed (row W21). */
const PACE_MS = 25;
const BASE_MS = 100;
const CAP_MS = 2_000;
/** A minute of speech; what is older is worth nothing to listeners, and a phone's memory is small. */
export const MAX_HELD = 600;

/**
 * @typedef {{sequence: number, capturedMs: number, audioData: string, addedMs: number, sentMs: number | null,
 *            wasTried: boolean}} Item
 */

export class Outgoing {
  /** @param {number} nextSequence @param {() => number} uniform a draw from [0, 1) */
  constructor(nextSequence = 0, uniform = Math.random) {
    this.nextSequence = nextSequence;
    this.acknowledged = 0;
    this.dropped = 0; // given up: refused for good, or too old
    this._uniform = uniform;
    /** @type {Item[]} all that is not settled, in the order of speech */
    this._held = [];
    /** @type {Set<number>} refused in passing, or never answered, and not settled yet */
    this._again = new Set();
    this._failures = 0;
    this._failedMs = -Infinity;
    this._notBeforeMs = 0;
  }

  /** A chunk was captured. @param {string} audioData @param {number} capturedMs @param {number} nowMs */
  add(audioData, capturedMs, nowMs) {
    this._held.push({ sequence: this.nextSequence++, capturedMs, audioData, addedMs: nowMs, sentMs: null, wasTried: false });
    if (this._held.length > MAX_HELD) {
      this._settle(this._held[0].sequence);
      this.dropped += 1;
    }
  }

  /** The chunk to send now, which counts as sent. @param {number} nowMs @returns {Item | null} */
  take(nowMs) {
    if (nowMs < this._notBeforeMs) return null;
    const inFlight = this._held.filter((item) => item.sentMs !== null).length;
    if (inFlight >= (this._failures || this._again.size ? 1 : MAX_IN_FLIGHT)) return null;
    const item = this._held.find((held) => held.sentMs === null);
    if (!item) return null;
    item.sentMs = nowMs;
    item.wasTried = true;
    this._notBeforeMs = nowMs + PACE_MS;
    return item;
  }

  /** The service has a chunk; the oldest on its way if it does not say which. @param {number} [sequence] */
  onAcknowledged(sequence) {
    if (!this._settle(this._meant(sequence))) return;
    this.acknowledged += 1;
    this._failures = 0;
  }

  /**
   * The service refused a chunk. @param {number | undefined} sequence @param {string} code @param {number} nowMs
   * @returns {boolean} whether it will go again
   */
  onRefused(sequence, code, nowMs) {
    const meant = this._meant(sequence);
    if (meant === undefined) return false;
    if (AGAIN.has(code)) {
      this._fail(meant, nowMs);
      return true;
    }
    this._settle(meant);
    this.dropped += 1;
    return false;
  }

  /** What had no answer in time goes again. @param {number} nowMs @returns {number} how many */
  giveUpWaiting(nowMs) {
    const late = this._held.filter((item) => item.sentMs !== null && nowMs - item.sentMs >= ANSWER_WITHIN_MS);
    for (const item of late) this._fail(item.sequence, nowMs);
    return late.length;
  }

  /** The connection is lost: what was on its way goes again, on the next one. */
  onDisconnected() {
    for (const item of this._held) item.sentMs = null;
    this._again.clear();
    this._failures = 0;
    this._notBeforeMs = 0;
  }

  /** The door is shut: what has not been tried is given up, and its numbers are used again, so that nobody waits. */
  onShut() {
    const first = this._held.findIndex((item) => !item.wasTried);
    if (first < 0) return;
    this.nextSequence = this._held[first].sequence;
    this.dropped += this._held.length - first;
    this._held.length = first;
  }

  /** How long the oldest chunk that is not acknowledged has been waiting, in ms. @param {number} nowMs */
  behindMs(nowMs) {
    return this._held.length ? nowMs - this._held[0].addedMs : 0;
  }

  /** @param {number} [sequence] */
  _meant(sequence) {
    return sequence ?? this._held.find((item) => item.sentMs !== null)?.sequence;
  }

  /** @param {number} [sequence] */
  _settle(sequence) {
    const at = this._held.findIndex((item) => item.sequence === sequence);
    if (at < 0) return false;
    this._again.delete(this._held[at].sequence);
    this._held.splice(at, 1);
    return true;
  }

  /** @param {number} sequence @param {number} nowMs */
  _fail(sequence, nowMs) {
    const item = this._held.find((held) => held.sequence === sequence);
    if (!item) return;
    const sentMs = item.sentMs ?? nowMs;
    item.sentMs = null;
    this._again.add(sequence);
    if (sentMs < this._failedMs) return; // it was under way with one that failed: one sign, not two
    this._failedMs = nowMs;
    this._failures += 1;
    const wait = (Math.min(CAP_MS, BASE_MS * 2 ** Math.min(this._failures - 1, 10)) * (1 + this._uniform())) / 2;
    this._notBeforeMs = Math.max(this._notBeforeMs, nowMs + wait);
  }
}

/**
 * Bytes as base64. @param {Int16Array} pcm
 */
export function base64(pcm) {
  const bytes = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}
