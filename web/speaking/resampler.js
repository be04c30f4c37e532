/**
 * Sound at a device's rate to 16 kHz, through a proper low-pass. Pure; runs in the audio thread.
 *
 * A polyphase filter: output sample n lies at n * step input samples, step = from / to as a fraction, and each of the
 * fraction's phases has its own windowed sinc. Flat to 7 kHz, 60 dB down from 9 kHz on (half of it below 8 kHz: what
 * folds back lies above 7 kHz, where speech has next to nothing). State is kept between blocks; blocks may have any
 * length.
 */

export const RATE_HZ = 16_000;
const PASS_HZ = 7_000;
const STOP_HZ = 9_000;
const STOP_DB = 66;
/** Kaiser's design formulas (J. F. Kaiser, 1974): shape and length of the window for that attenuation. */
const BETA = 0.1102 * (STOP_DB - 8.7);
const LENGTH_FACTOR = (STOP_DB - 7.95) / 14.36;

export class Resampler {
  /** @param {number} fromHz the rate of what comes in @param {number} toHz */
  constructor(fromHz, toHz = RATE_HZ) {
    const divisor = gcd(fromHz, toHz);
    this._down = fromHz / divisor;
    this._up = toHz / divisor;
    const lower = Math.min(fromHz, toHz);
    const transition = ((STOP_HZ - PASS_HZ) / RATE_HZ) * lower;
    const cutoff = lower / 2 / fromHz; // in cycles per input sample
    this._half = Math.ceil((LENGTH_FACTOR * fromHz) / transition / 2);
    this._taps = fromHz === toHz ? null : phases(this._up, this._half, cutoff);
    this._held = new Float32Array(this._half); // silence before the first sample, so that it lies in the middle
    this._phase = 0; // of the next output sample, whose filter begins at _held[0] or _start further on
    this._start = 0;
  }

  /**
   * Output samples that this block completes.
   * @param {Float32Array} block @returns {Float32Array}
   */
  push(block) {
    if (!this._taps) return block;
    const input = new Float32Array(this._held.length + block.length);
    input.set(this._held);
    input.set(block, this._held.length);
    const width = 2 * this._half;
    const output = [];
    let start = this._start;
    let phase = this._phase;
    while (start + width < input.length) {
      const taps = this._taps[phase];
      let sum = 0;
      for (let k = 0; k <= width; k++) sum += input[start + k] * taps[k];
      output.push(sum);
      phase += this._down;
      start += Math.floor(phase / this._up);
      phase %= this._up;
    }
    const kept = Math.min(start, input.length);
    this._held = input.slice(kept);
    this._start = start - kept;
    this._phase = phase;
    return Float32Array.from(output);
  }
}

/**
 * Samples from -1 to 1 as 16-bit integers, saturating. Array buffers on every platform that has a browser are little
 * endian, as the wire is.
 * @param {ArrayLike<number>} samples @returns {Int16Array}
 */
export function toPcm16(samples) {
  return Int16Array.from(samples, (x) => Math.max(-32768, Math.min(32767, Math.round(x * 32768))));
}

/** @param {number} up @param {number} half @param {number} cutoff */
function phases(up, half, cutoff) {
  return Array.from({ length: up }, (_, phase) => {
    const taps = Float64Array.from({ length: 2 * half + 1 }, (_, k) => tap(k - half - phase / up, half, cutoff));
    const gain = taps.reduce((sum, x) => sum + x, 0); // so that no phase is louder than another
    return taps.map((x) => x / gain);
  });
}

/** The windowed sinc. @param {number} x in input samples from its middle @param {number} half @param {number} cutoff */
function tap(x, half, cutoff) {
  const place = x / (half + 1);
  if (Math.abs(place) >= 1) return 0;
  const sinc = x === 0 ? 2 * cutoff : Math.sin(2 * Math.PI * cutoff * x) / (Math.PI * x);
  return (sinc * bessel(BETA * Math.sqrt(1 - place * place))) / bessel(BETA);
}

/** Bessel's I0 by its series. @param {number} x */
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** @param {number} a @param {number} b @returns {number} */
function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}
