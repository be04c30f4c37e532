/**
 * Languages by their own names, their direction, and which one a visitor is likely to want. Pure.
 */

const RIGHT_TO_LEFT = new Set(["ar", "fa", "he", "ur", "yi", "dv", "ps", "sd", "ug"]);

/**
 * The language's own name: "español" for es; the code itself where the browser knows none.
 * @param {string} code
 */
export function ownName(code) {
  return nameIn(code, code);
}

/**
 * The language's name in English.
 * @param {string} code
 */
export function englishName(code) {
  return nameIn("en", code);
}

/** @param {string} reader @param {string} code */
function nameIn(reader, code) {
  try {
    const name = new Intl.DisplayNames([reader], { type: "language", fallback: "none" }).of(code);
    return name ? name.charAt(0).toLocaleUpperCase(reader) + name.slice(1) : code;
  } catch {
    return code;
  }
}

/**
 * @param {string} code @returns {"rtl" | "ltr"}
 */
export function direction(code) {
  return RIGHT_TO_LEFT.has(base(code)) ? "rtl" : "ltr";
}

/**
 * The language without its region: "pt" for pt-BR.
 * @param {string} code
 */
export function base(code) {
  return code.split("-")[0].toLowerCase();
}

/**
 * Which languages to ask for, the likeliest first: those wanted that are on offer, then what else there is.
 * @param {string[]} wanted @param {string[] | undefined} offered undefined: not known before joining
 */
export function candidates(wanted, offered) {
  const bases = [...new Set([...wanted.map(base), "en"])];
  if (!offered?.length) return bases;
  const found = bases.filter((code) => offered.includes(code));
  return found.length ? found : [offered[0]];
}
