/**
 * Speech through the loudspeaker: what `playback.js` says is due, on the audio clock. A thin shell.
 */

import { Playback, decode } from "./playback.js";

/** @typedef {import("../common/protocol.js").Message} Message */

/** What the service sends; in a context of the same rate, parts join to the sample. */
const RATE_HZ = 16_000;
const FADE_S = 0.005;
/** The player looks so often whether a part is due. */
const LOOK_MS = 100;

export class Player {
  /** @param {(state: "playing" | "waiting" | "blocked") => void} onState */
  constructor(onState) {
    this._onState = onState;
    this._playback = new Playback(RATE_HZ);
    /** @type {AudioContext | null} */
    this._context = null;
    /** @type {GainNode | null} */
    this._volume = null;
    this._level = 1;
    /** @type {Set<{source: AudioBufferSourceNode, gain: GainNode}>} */
    this._sounding = new Set();
    /** @type {{gain: GainNode, fadesAt: number} | null} the part given out last, if its clause goes on */
    this._last = null;
    this._isOn = false;
    this._timer = 0;
  }

  get isOn() {
    return this._isOn;
  }

  /** Sound from now on. To be called from a click: browsers begin no sound without one. */
  async start() {
    if (!this._context) {
      this._context = new AudioContext({ sampleRate: RATE_HZ, latencyHint: "playback" });
      this._volume = new GainNode(this._context, { gain: this._level });
      this._volume.connect(this._context.destination);
      this._context.onstatechange = () => this._tell();
    }
    this._isOn = true;
    await this._context.resume();
    this._tell();
  }

  /** No sound: what sounds fades out, what comes is not kept. */
  stop() {
    this._isOn = false;
    this._silence();
    this._tell();
  }

  /** What waits is left out; the next clause is heard at once. */
  skip() {
    this._silence();
    this._tell();
  }

  /** @param {number} level 0 to 1 */
  setVolume(level) {
    this._level = level;
    if (this._context) this._volume?.gain.setTargetAtTime(level, this._context.currentTime, 0.02);
  }

  /** Speech came. @param {Message} message */
  take(message) {
    const now = this._nowFrame();
    this._playback.take(message, decode(message.audioData), now);
    if (!this._isOn || this._context?.state !== "running") this._playback.skip(now);
    else this._pump();
  }

  /** Seconds of speech that wait. */
  get behindS() {
    return this._isOn ? this._playback.behindS(this._nowFrame()) : 0;
  }

  /** Counts, for whoever wants to know how well it goes. */
  get figures() {
    const { late, lost, repeats, leadFrames } = this._playback;
    return { late, lost, repeats, leadMs: (leadFrames * 1000) / RATE_HZ };
  }

  _nowFrame() {
    return Math.ceil((this._context?.currentTime ?? 0) * RATE_HZ);
  }

  _pump() {
    clearTimeout(this._timer);
    for (let due = this._playback.next(this._nowFrame()); due; due = this._playback.next(this._nowFrame())) {
      this._schedule(due);
    }
    if (this._playback.isBusy) this._timer = window.setTimeout(() => this._pump(), LOOK_MS);
    this._tell();
  }

  /** @param {import("./playback.js").Due} due */
  _schedule({ samples, startFrame, joins, isLast }) {
    const context = /** @type {AudioContext} */ (this._context);
    const buffer = context.createBuffer(1, samples.length, RATE_HZ);
    buffer.copyToChannel(samples, 0);
    const source = new AudioBufferSourceNode(context, { buffer });
    const gain = new GainNode(context);
    source.connect(gain).connect(/** @type {GainNode} */ (this._volume));
    const begin = startFrame / RATE_HZ;
    const end = (startFrame + samples.length) / RATE_HZ;
    if (joins) {
      this._last?.gain.gain.cancelScheduledValues(this._last.fadesAt); // this part goes on where that one ends
    } else {
      gain.gain.setValueAtTime(0, begin);
      gain.gain.linearRampToValueAtTime(1, begin + FADE_S);
    }
    if (end - begin > 2 * FADE_S) gain.gain.setValueAtTime(1, end - FADE_S).linearRampToValueAtTime(0, end);
    const playing = { source, gain };
    source.onended = () => {
      this._sounding.delete(playing);
      this._pump();
    };
    this._sounding.add(playing);
    this._last = isLast ? null : { gain, fadesAt: end - FADE_S };
    source.start(begin);
  }

  _silence() {
    const context = this._context;
    if (!context) return;
    for (const { source, gain } of this._sounding) {
      gain.gain.cancelScheduledValues(0);
      gain.gain.setTargetAtTime(0, context.currentTime, FADE_S);
      source.stop(context.currentTime + 8 * FADE_S);
    }
    this._last = null;
    this._playback.skip(this._nowFrame());
  }

  _tell() {
    if (this._isOn && this._context?.state !== "running") this._onState("blocked");
    else this._onState(this._sounding.size ? "playing" : "waiting");
  }
}
