/**
 * Small hands for the document.
 */

/**
 * The element called so, which the page has.
 * @template {HTMLElement} [T=HTMLElement] @param {string} id @returns {T}
 */
export function byId(id) {
  return /** @type {T} */ (document.getElementById(id));
}

/** Set a text, touching the document only if it changes: live regions speak on every touch. @param {Element} element */
export function write(element, /** @type {string} */ text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A text that is there, or is not. @param {HTMLElement} element @param {string} text "" hides it */
export function tell(element, text) {
  write(element, text);
  element.hidden = !text;
}

/**
 * A new element.
 * @param {string} name @param {Record<string, string>} attributes @param {...(Node | string)} children
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Fill a list of choices. @param {HTMLSelectElement} select @param {{value: string, text: string, lang?: string}[]} choices */
export function choices(select, choices, /** @type {string} */ chosen) {
  select.replaceChildren(
    ...choices.map(({ value, text, lang }) => make("option", { value, ...(lang ? { lang } : {}) }, text)),
  );
  if (choices.some(({ value }) => value === chosen)) select.value = chosen;
}

/** What this browser remembers; private windows may refuse. @param {Storage} storage @param {string} key */
export function remembered(storage, key) {
  try {
    return JSON.parse(storage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** @param {Storage} storage @param {string} key @param {unknown} value null forgets */
export function remember(storage, key, value) {
  try {
    if (value === null) storage.removeItem(key);
    else storage.setItem(key, JSON.stringify(value));
  } catch {
    // then it is asked again next time
  }
}

/** Keep the screen on while something is going on; browsers drop it when the page is hidden. */
export class Awake {
  constructor() {
    this._isWanted = false;
    document.addEventListener("visibilitychange", () => this._ask());
  }

  /** @param {boolean} isWanted */
  set(isWanted) {
    if (isWanted === this._isWanted) return;
    this._isWanted = isWanted;
    this._ask();
  }

  async _ask() {
    if (this._isWanted && document.visibilityState === "visible" && !this._lock) {
      this._lock = await navigator.wakeLock?.request("screen").catch(() => null);
      this._lock?.addEventListener("release", () => (this._lock = null));
    }
    if (!this._isWanted) await this._lock?.release();
  }
}

/**
 * Tell the connection of the day what the browser notices of the network.
 * @param {() => import("./connection.js").Connection | null | undefined} current
 */
export function watchNetwork(current) {
  const look = () => {
    const connection = current();
    if (connection?.state === "waiting") connection.dial();
    else connection?.probe(3_000);
  };
  window.addEventListener("online", look);
  window.addEventListener("offline", () => current()?.probe(3_000));
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && look());
}
