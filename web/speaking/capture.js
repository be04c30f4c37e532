/**
 * The microphone, as a source of chunks. Everything is built before it is opened, so that nothing of its first sound
 * is lost.
 */

/** @typedef {import("./chunks.js").Chunk} Chunk */
/** @typedef {{deviceId?: string, echoCancellation: boolean, noiseSuppression: boolean, autoGainControl: boolean}} Wish */

export class Microphone {
  /**
   * @param {URL} worklet the address of capture-worklet.js
   * @param {(chunk: Chunk) => void} onChunk
   * @param {(why: "gone" | "silenced" | "heard") => void} onTrouble the device went away, or the system took its sound
   */
  constructor(worklet, onChunk, onTrouble) {
    this._worklet = worklet;
    this._onChunk = onChunk;
    this._onTrouble = onTrouble;
    /** @type {AudioContext | null} */
    this._context = null;
    /** @type {MediaStream | null} */
    this._stream = null;
  }

  /** Raises what `getUserMedia` raises (see `explain`). @param {Wish} wish */
  async open(wish) {
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("no secure context", "SecurityError");
    this._context = new AudioContext({ latencyHint: "interactive" });
    try {
      await this._context.audioWorklet.addModule(this._worklet);
      const node = new AudioWorkletNode(this._context, "herald-capture", {
        numberOfOutputs: 0,
        channelCount: 1,
        channelCountMode: "explicit",
      });
      node.port.onmessage = ({ data }) => this._onChunk(data);
      const { deviceId, ...processing } = wish;
      const device = deviceId ? { deviceId: { exact: deviceId } } : {};
      const constraints = { channelCount: 1, ...processing, ...device };
      this._stream = await navigator.mediaDevices.getUserMedia({ audio: constraints });
      const [track] = this._stream.getAudioTracks();
      track.onended = () => this._onTrouble("gone");
      track.onmute = () => this._onTrouble("silenced");
      track.onunmute = () => this._onTrouble("heard");
      this._context.createMediaStreamSource(this._stream).connect(node);
      await this._context.resume();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close() {
    for (const track of this._stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this._stream = null;
    const context = this._context;
    this._context = null;
    await context?.close();
  }
}

/** Microphones by name; names are there once the page may use one. @returns {Promise<{id: string, name: string}[]>} */
export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices
    .filter((device) => device.kind === "audioinput" && device.deviceId && device.label)
    .map((device) => ({ id: device.deviceId, name: device.label }));
}

/**
 * Why a microphone could not be opened, and what to do. @param {unknown} error
 */
export function explain(error) {
  const name = error instanceof DOMException ? error.name : "";
  switch (name) {
    case "NotAllowedError":
      return "The browser may not use the microphone. Allow it in the address bar or the browser's settings, then press Start again.";
    case "NotFoundError":
    case "OverconstrainedError":
      return "No such microphone was found. Plug one in or choose another, then press Start again.";
    case "NotReadableError":
    case "AbortError":
      return "Another program is using the microphone. Close it, then press Start again.";
    case "SecurityError":
      return "Browsers give the microphone to secure pages only. Open this page by https, or on this machine by 127.0.0.1.";
    default:
      return "The microphone could not be opened. Reload the page and try again, or use another browser.";
  }
}
