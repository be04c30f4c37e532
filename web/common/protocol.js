/**
 * What the pages say to the service, and what its answers mean (rows W1 to W19). Pure.
 */

/** @typedef {{type: string, [field: string]: any}} Message */

/**
 * What the speaker has set. version: of the state that this is; an older message changes nothing.
 * @typedef {{isPaused: boolean, isMuted: boolean, volume: number, isAway: boolean, version: number}} State
 */

/** What speakers may speak where the service does not say so beforehand (row W23). */
export const SOURCE_LANGUAGES = [
  "en-US", "es-ES", "fr-FR", "de-DE", "it-IT", "pt-BR", "ja-JP", "ko-KR", "zh-CN", "ar-SA",
];

/** The messages that say: you are in. */
export const WELCOMES = new Set(["sessionCreated", "sessionJoined", "sessionResumed", "connectionRefreshed"]);

/** @type {State} */
export const INITIAL_STATE = { isPaused: false, isMuted: false, volume: 1, isAway: false, version: 0 };

/**
 * The address to connect to. Query values that are undefined are left out.
 * @param {string} ws @param {Record<string, string | undefined>} query
 */
export function address(ws, query) {
  const url = new URL(ws);
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
  return url.href;
}

/**
 * A message, or null for what is none of ours.
 * @param {unknown} text @returns {Message | null}
 */
export function parse(text) {
  if (typeof text !== "string") return null;
  try {
    const message = JSON.parse(text);
    return message && typeof message.type === "string" ? message : null;
  } catch {
    return null;
  }
}

/**
 * The state after a message; the same object if it changes nothing.
 * @param {State} state @param {Message} message @returns {State}
 */
export function reduce(state, message) {
  const whole = WELCOMES.has(message.type) ? message.broadcastState : WHOLE[message.type]?.(message);
  const change = whole ?? CHANGES[message.type]?.(message);
  if (!change) return state;
  const version = message.stateVersion ?? whole?.stateVersion ?? state.version;
  if (version < state.version) return state;
  const known = Object.fromEntries(Object.entries(change).filter(([name]) => name in state));
  const isBack = WELCOMES.has(message.type) ? { isAway: Boolean(message.speakerAway) } : {};
  return { ...state, ...known, ...isBack, version };
}

/** @type {Record<string, (message: Message) => any>} */
const WHOLE = { speakerStateChanged: (message) => message.state };

/** @type {Record<string, (message: Message) => Partial<State>>} */
const CHANGES = {
  broadcastPaused: () => ({ isPaused: true }),
  broadcastResumed: () => ({ isPaused: false }),
  broadcastMuted: () => ({ isMuted: true }),
  broadcastUnmuted: () => ({ isMuted: false }),
  volumeChanged: (message) => ({ volume: message.volumeLevel }),
  speakerDisconnected: () => ({ isAway: true }),
  speakerReconnected: () => ({ isAway: false }),
};

/** Refusals of a chunk that another try may mend. */
export const AGAIN = new Set(["SERVICE_UNAVAILABLE", "TIMEOUT", "RATE_LIMIT_EXCEEDED"]);

/** What went wrong, and what to do next (row W19). */
const ADVICE = {
  INVALID_AUDIO_FORMAT: "The sound from the microphone was not understood. Choose another microphone and start again.",
  INVALID_MESSAGE: "The service did not understand this page. Reload it to get the current one.",
  INVALID_VOLUME: "That volume was not accepted. Move the slider again.",
  UNSUPPORTED_LANGUAGE: "That language is not on offer. Choose another one.",
  UNAUTHENTICATED: "The token is not valid or has expired. Get a new one and sign in again.",
  UNAUTHORIZED: "This is not yours to do. Sign in with the token that the session was started with.",
  SESSION_NOT_FOUND: "The session has ended. Start a new one, or ask the speaker for a new link.",
  CONNECTION_NOT_FOUND: "The connection was dropped. It is being opened again.",
  PAYLOAD_TOO_LARGE: "A message was too large for the service. Reload the page.",
  RATE_LIMIT_EXCEEDED: "That was too fast for the service. Wait a moment, then try again.",
  INTERNAL_ERROR: "Something went wrong in the service. Try again; if it stays, tell whoever runs it.",
  SERVICE_UNAVAILABLE: "The service is busy. It is tried again by itself.",
  SESSION_FULL: "The session has as many listeners as it can have. Try again when somebody has left.",
  TIMEOUT: "The service took too long. Try again.",
};

/**
 * A sentence for people, and what to do next.
 * @param {string} code
 */
export function advice(code) {
  return ADVICE[/** @type {keyof typeof ADVICE} */ (code)] ?? ADVICE.INTERNAL_ERROR;
}

/** What a speaker can do about the sound (row W15), by the code of the warning. */
const QUALITY = {
  AUDIO_LOW_SNR: "There is much noise behind your voice. Come closer to the microphone, or find a quieter place.",
  AUDIO_CLIPPING: "Your voice is too loud for the microphone. Turn it down, or step back a little.",
  AUDIO_ECHO: "Your voice comes back as an echo. Use headphones, or switch on echo cancellation.",
  AUDIO_SILENCE: "Nothing is heard. Check that the right microphone is chosen and switched on.",
};

/**
 * A quality warning as a sentence; the service's own for a code that this page does not know.
 * @param {Message} message
 */
export function qualityAdvice(message) {
  return QUALITY[/** @type {keyof typeof QUALITY} */ (message.code)] ?? String(message.message ?? message.code);
}

/**
 * Seconds as people read them: 0:07, 12:30, 1:02:03.
 * @param {number} seconds
 */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
