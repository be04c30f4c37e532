/**
 * Samples into chunks of 100 ms, each with the time at which it was captured and how loud it was. Pure; runs in the
 * audio thread, where the sound's own clock is.
 */

import { RATE_HZ, Resampler, toPcm16 } from "./resampler.js";

export const CHUNK_MS = 100;
const CHUNK_SAMPLES = (RATE_HZ * CHUNK_MS) / 1000;
/** A sound card's clock and the computer's run apart by some 0.01 %: followed a little with each chunk. */
const FOLLOW = 0.02;
/** Further apart than this is no drift: the computer slept, or the device stood still. Below the service's 500 ms. */
const GAP_MS = 250;

/** @typedef {{pcm: Int16Array, capturedMs: number, peak: number, rms: number}} Chunk peak, rms: 0 to 1 */

export class Chunker {
  /** @param {number} rateHz of what comes in */
  constructor(rateHz) {
    this._resampler = new Resampler(rateHz);
    this._samples = new Float32Array(CHUNK_SAMPLES);
    this._filled = 0;
    this._clock = new CaptureClock();
  }

  /**
   * Chunks that this block completes.
   * @param {Float32Array} block @param {number} nowMs when its last sample was captured @returns {Chunk[]}
   */
  push(block, nowMs) {
    const found = [];
    const samples = this._resampler.push(block);
    for (let at = 0; at < samples.length; ) {
      const part = samples.subarray(at, at + CHUNK_SAMPLES - this._filled);
      this._samples.set(part, this._filled);
      this._filled += part.length;
      at += part.length;
      if (this._filled === CHUNK_SAMPLES) {
        const laterMs = ((samples.length - at) * 1000) / RATE_HZ;
        found.push(this._chunk(this._clock.begin(nowMs - laterMs - CHUNK_MS)));
        this._filled = 0;
      }
    }
    return found;
  }

  /** @param {number} capturedMs @returns {Chunk} */
  _chunk(capturedMs) {
    let peak = 0;
    let power = 0;
    for (const x of this._samples) {
      peak = Math.max(peak, Math.abs(x));
      power += x * x;
    }
    return { pcm: toPcm16(this._samples), capturedMs, peak, rms: Math.sqrt(power / CHUNK_SAMPLES) };
  }
}

/** When chunks begin: one after another, steadily, and yet by the computer's clock (Unix milliseconds). */
export class CaptureClock {
  constructor() {
    /** @type {number | null} */
    this._next = null;
  }

  /**
   * @param {number} seenMs when it began, as far as can be seen: late by as much as the thread was held up
   */
  begin(seenMs) {
    const off = this._next === null ? 0 : seenMs - this._next;
    const start = this._next === null || off > GAP_MS ? seenMs : this._next + Math.max(off, -GAP_MS) * FOLLOW;
    this._next = start + CHUNK_MS;
    return Math.round(start);
  }
}
