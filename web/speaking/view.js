/**
 * What the speaker sees: each function draws one thing.
 */

import { byId, make, write } from "../common/dom.js";
import { englishName, ownName } from "../common/languages.js";
import { encode } from "./qr.js";

const SVG = "http://www.w3.org/2000/svg";
const QUIET = 4;
/** The meter's range in dB of full scale, and where a voice is too loud. */
const FLOOR_DB = -60;
const LOUD_DB = -3;

/** Show one of the page's views. @param {"signin" | "live" | "ended"} name */
export function show(name) {
  for (const id of ["signin", "live", "ended"]) byId(id).hidden = id !== name;
  if (name === "ended") byId("ended-title").focus();
}

/** @param {string} link */
export function drawCode(link) {
  const rows = encode(link);
  const side = rows.length + 2 * QUIET;
  const dark = rows.flatMap((row, y) => row.flatMap((is, x) => (is ? [`M${x + QUIET} ${y + QUIET}h1v1h-1z`] : [])));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${side} ${side}`);
  svg.setAttribute("shape-rendering", "crispEdges");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", dark.join(""));
  path.setAttribute("fill", "#000");
  svg.append(path);
  byId("qr").replaceChildren(svg);
}

/** @param {number} count @param {Record<string, number>} distribution listeners by language */
export function drawListeners(count, distribution) {
  write(byId("count"), String(count));
  const found = Object.entries(distribution).filter(([, n]) => n > 0);
  found.sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  byId("languages").replaceChildren(
    ...found.map(([code, n]) => {
      const bar = make("div");
      bar.style.transform = `scaleX(${n / Math.max(1, count)})`;
      const english = englishName(code) === ownName(code) ? "" : ` (${englishName(code)})`;
      const name = make("span", {}, make("span", { lang: code }, ownName(code)), english);
      return make("li", {}, name, make("strong", {}, String(n)), make("div", { class: "share" }, bar));
    }),
  );
  byId("nobody").hidden = count > 0;
}

/** @param {{peak: number, rms: number}} level 0 to 1 @param {boolean} isOff nobody hears it */
export function drawLevel({ peak, rms }, isOff) {
  const db = Math.max(FLOOR_DB, 20 * Math.log10(Math.max(rms * Math.SQRT2, 1e-6)));
  const meter = byId("meter");
  meter.dataset.loud = String(20 * Math.log10(Math.max(peak, 1e-6)) > LOUD_DB);
  meter.dataset.off = String(isOff);
  meter.setAttribute("aria-valuenow", String(Math.round(db)));
  meter.setAttribute("aria-valuetext", db <= FLOOR_DB ? "silence" : `${Math.round(db)} decibels`);
  byId("meter-level").style.transform = `scaleX(${1 - db / FLOOR_DB})`;
}

/** Warnings, by what each is about; drawn again only where they change. */
export class Warnings {
  constructor() {
    /** @type {Map<string, HTMLElement>} */
    this._shown = new Map();
    /** @type {Map<string, number>} */
    this._timers = new Map();
  }

  /** @param {string} about @param {string} text "" takes it away @param {number} [forMs] */
  set(about, text, forMs) {
    clearTimeout(this._timers.get(about));
    const item = this._shown.get(about);
    if (!text) {
      item?.remove();
      this._shown.delete(about);
      return;
    }
    if (item) write(item, text);
    else {
      const fresh = make("li", {}, text);
      this._shown.set(about, fresh);
      byId("warnings").append(fresh);
    }
    if (forMs) this._timers.set(about, window.setTimeout(() => this.set(about, ""), forMs));
  }

  clear() {
    for (const about of [...this._shown.keys()]) this.set(about, "");
  }
}
