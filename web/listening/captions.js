/**
 * What a listener can read: a line for each utterance, in the order of speech. Pure.
 *
 * Of a line, the first `committed` characters never change; the rest, its tail, may still. Repeats and what was
 * overtaken change nothing.
 */

/** @typedef {import("../common/protocol.js").Message} Message */
/**
 * @typedef {{utteranceId: string, language: string, startMs: number, text: string, committed: number,
 *            isFinal: boolean, revision: number}} Line
 */

/** Lines that are kept; an hour of speech is some 600. */
const MAX_LINES = 300;

export class Captions {
  constructor() {
    /** @type {Line[]} */
    this.lines = [];
  }

  /**
   * A caption came. line: what to show, or null if nothing changes; at: its place among the lines; said: what has been
   * committed anew, for those who hear the page instead of seeing it.
   * @param {Message} message @returns {{line: Line | null, at: number, said: string}}
   */
  take(message) {
    const found = this.lines.findIndex((line) => line.utteranceId === message.utteranceId);
    const before = this.lines[found];
    const isSame = before?.language === message.language;
    if (before && isSame && (message.revision <= before.revision || before.isFinal)) {
      return { line: null, at: found, said: "" };
    }
    const line = {
      utteranceId: message.utteranceId,
      language: message.language,
      startMs: message.startMs,
      text: message.text,
      committed: message.isFinal ? message.text.length : message.committed,
      isFinal: message.isFinal,
      revision: message.revision,
    };
    const from = isSame ? before.committed : 0;
    return { line, at: this._place(line, found), said: line.text.slice(from, line.committed).trim() };
  }

  /** @param {Line} line @param {number} found */
  _place(line, found) {
    if (found >= 0) {
      this.lines[found] = line;
      return found;
    }
    let at = this.lines.length;
    while (at > 0 && this.lines[at - 1].startMs > line.startMs) at -= 1;
    this.lines.splice(at, 0, line);
    if (this.lines.length > MAX_LINES) {
      this.lines.shift();
      at -= 1;
    }
    return at;
  }
}
