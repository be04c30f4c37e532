/**
 * Where the service is, and what is known of it before connecting: `config.json` next to the pages, or the query.
 *
 * The fields, all optional:
 *   ws               the WebSocket's address; `?ws=` in the page's own address comes before it
 *   token            a speaker's token, for a stack on the same machine only
 *   sourceLanguages  what speakers may speak
 *   targetLanguages  what listeners may choose
 *   listenPath       a listener's page, relative to this folder, with {session} in it
 */

/**
 * @typedef {{ws: string, token?: string, sourceLanguages?: string[], targetLanguages?: string[],
 *            listenPath: string}} Config
 */

const LISTEN_PATH = "listen.html?session={session}";

/**
 * @param {string} base the folder's address @param {string} query the page's own
 * @returns {Promise<Config>} ws is "" if nobody says where the service is
 */
export async function load(base, query) {
  return combine(await read(new URL("config.json", base)), query);
}

/**
 * @param {any} found what config.json holds @param {string} query @returns {Config}
 */
export function combine(found, query) {
  const chosen = new URLSearchParams(query).get("ws");
  const given = found && typeof found === "object" ? found : {};
  const ws = chosen ?? (typeof given.ws === "string" ? given.ws : "");
  const usable = /^wss?:\/\//.test(ws);
  // A token goes to the service that it came with, and to no address that a link has brought.
  const token = chosen === null || chosen === given.ws ? given.token : undefined;
  return { ...given, token, ws: usable ? ws : "", listenPath: given.listenPath ?? LISTEN_PATH };
}

/**
 * The link to a listener's page. It carries `?ws=` on if this page was told so.
 * @param {Config} config @param {string} base @param {string} query @param {string} session
 */
export function listenLink(config, base, query, session) {
  const url = new URL(config.listenPath.replace("{session}", encodeURIComponent(session)), base);
  const chosen = new URLSearchParams(query).get("ws");
  if (chosen !== null) url.searchParams.set("ws", chosen);
  return url.href;
}

/**
 * The session that a listener's page is for: `?session=`, or the last part of the path `/listen/{session}`.
 * @param {string} path @param {string} query
 */
export function sessionOf(path, query) {
  const asked = new URLSearchParams(query).get("session");
  const found = asked ?? decode(/\/listen\/([^/]+)\/?$/.exec(path)?.[1] ?? "");
  return found.trim().toLowerCase();
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

/** @param {URL} url */
async function read(url) {
  try {
    const response = await fetch(url, { cache: "no-store" });
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}
