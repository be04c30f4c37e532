/**
 * What the listener sees of the captions. Lines stay where they are; of a line, only what may still change is touched.
 */

import { byId, make, write } from "../common/dom.js";
import { direction } from "../common/languages.js";

/** @typedef {import("./captions.js").Line} Line */

/** So near the end counts as reading the newest. */
const NEAR_PX = 32;
const SPOKEN_KEPT = 5;
const SIZES_REM = [1.05, 1.35, 1.75, 2.25, 3];

export class CaptionView {
  constructor() {
    this._frame = byId("captions");
    this._lines = byId("lines");
    this._follows = true;
    this._frame.addEventListener("scroll", () => this._look());
    new ResizeObserver(() => this._follow()).observe(this._frame);
    byId("latest").addEventListener("click", () => {
      this._follows = true;
      this._follow();
      this._frame.focus();
    });
  }

  /** A line is new, or has changed. @param {Line} line @param {number} at @param {number} count of all lines */
  draw(line, at, count) {
    byId("empty").hidden = true;
    const known = /** @type {HTMLElement | undefined} */ (
      [...this._lines.children].find((child) => /** @type {HTMLElement} */ (child).dataset.id === line.utteranceId)
    );
    const element = known ?? this._add(line, at);
    element.lang = line.language;
    element.dir = direction(line.language);
    const [fixed, tail] = element.children;
    write(fixed, line.text.slice(0, line.committed));
    write(tail, line.text.slice(line.committed));
    while (this._lines.children.length > count) this._lines.firstElementChild?.remove();
    this._follow();
  }

  /** @param {Line} line @param {number} at */
  _add(line, at) {
    const element = make("p", { class: "line" }, make("span"), make("span", { class: "tail" }));
    element.dataset.id = line.utteranceId;
    this._lines.insertBefore(element, this._lines.children[at] ?? null);
    return element;
  }

  _look() {
    const { scrollTop, scrollHeight, clientHeight } = this._frame;
    this._follows = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    byId("latest").hidden = this._follows;
  }

  _follow() {
    if (this._follows) this._frame.scrollTop = this._frame.scrollHeight;
    byId("latest").hidden = this._follows;
  }
}

/** For those who hear the page: what has been committed, clause by clause. @param {string} text @param {string} language */
export function announce(text, language) {
  const box = byId("spoken");
  box.append(make("p", { lang: language }, text));
  while (box.children.length > SPOKEN_KEPT) box.firstElementChild?.remove();
}

/** The captions' size, as a step from 0. @param {number} step @returns {number} the step that it is now */
export function resize(step) {
  const found = Math.max(0, Math.min(SIZES_REM.length - 1, Math.round(step)));
  document.documentElement.style.setProperty("--caption", `${SIZES_REM[found]}rem`);
  /** @type {HTMLButtonElement} */ (byId("smaller")).disabled = found === 0;
  /** @type {HTMLButtonElement} */ (byId("larger")).disabled = found === SIZES_REM.length - 1;
  return found;
}
