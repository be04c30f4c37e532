/**
 * The audio thread's side of the microphone: every chunk goes to the page (`capture.js`).
 */

import { Chunker } from "./chunks.js";

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this._chunker = new Chunker(sampleRate);
  }

  /** @param {Float32Array[][]} inputs */
  process([input]) {
    if (input.length) {
      for (const chunk of this._chunker.push(input[0], Date.now())) this.port.postMessage(chunk, [chunk.pcm.buffer]);
    }
    return true;
  }
}

registerProcessor("herald-capture", Capture);
