/**
 * The speaker's page: signing in, the session while it is live, and its end.
 */

import { combine, listenLink, load } from "./common/config.js";
import { Awake, byId, choices, make, remember, remembered, tell, watchNetwork, write } from "./common/dom.js";
import { englishName, ownName } from "./common/languages.js";
import { SOURCE_LANGUAGES, advice, clock, qualityAdvice } from "./common/protocol.js";
import { Microphone, explain, microphones } from "./speaking/capture.js";
import { Session } from "./speaking/session.js";
import { Warnings, drawCode, drawLevel, drawListeners, show } from "./speaking/view.js";

const WHERE = "herald.speaking"; // of this tab only, and only while the session lasts
const BEHIND_MS = 3_000;
const QUALITY_SHOWN_MS = 75_000; // the service says it again each minute while it is so
const INPUTS = /** @type {const} */ ({ echo: "echoCancellation", noise: "noiseSuppression", gain: "autoGainControl" });

const input = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
const select = (/** @type {string} */ id) => /** @type {HTMLSelectElement} */ (byId(id));

let config = combine({}, "");
/** @type {Session | null} */
let session = null;
/** @type {Microphone | null} */
let microphone = null;
let deviceId = ""; // "": the system's choice
let startedMs = 0;
let mostListeners = 0;
const warnings = new Warnings();
const awake = new Awake();

begin();

async function begin() {
  config = await load(document.baseURI, location.search);
  const languages = config.sourceLanguages ?? SOURCE_LANGUAGES;
  choices(select("language"), languages.map((code) => ({ value: code, text: nameOf(code) })), navigator.language);
  input("token").value = config.token ?? "";
  byId("access").toggleAttribute("open", !config.token);
  write(byId("access-summary"), config.token ? "Access: a token for this machine is filled in" : "Access");
  offerDevices(); // which may take the system a while
  connectHands();
  watchNetwork(() => session?.connection);
  setInterval(drawTime, 500);
  const before = remembered(sessionStorage, WHERE);
  if (!config.ws) problem("This page does not know where the service is. Write its address as ws into config.json next to the page, then reload.");
  else if (before?.sessionId) return comeBack(before);
  show("signin");
}

/** @param {string} code */
function nameOf(code) {
  return ownName(code) === englishName(code) ? ownName(code) : `${ownName(code)} (${englishName(code)})`;
}

async function offerDevices() {
  const found = await microphones().catch(() => []);
  const all = [{ value: "", text: "The system's choice" }, ...found.filter(({ id }) => id !== "default").map(({ id, name }) => ({ value: id, text: name }))];
  choices(select("device"), all, deviceId);
}

function connectHands() {
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    start();
  });
  select("device").addEventListener("change", () => (deviceId = select("device").value));
  byId("continue").addEventListener("click", continueSpeaking);
  byId("mute").addEventListener("click", () => session?.want({ isMuted: !wanted().isMuted }));
  byId("pause").addEventListener("click", () => session?.want({ isPaused: !wanted().isPaused }));
  input("volume").addEventListener("input", () => {
    write(byId("volume-value"), `${input("volume").value} %`);
  });
  input("volume").addEventListener("change", () => session?.want({ volume: Number(input("volume").value) / 100 }));
  const dialog = /** @type {HTMLDialogElement} */ (byId("confirm"));
  byId("end").addEventListener("click", () => dialog.showModal());
  byId("keep").addEventListener("click", () => dialog.close());
  byId("really").addEventListener("click", () => {
    dialog.close();
    session?.end();
  });
  byId("copy").addEventListener("click", copyLink);
  byId("link").addEventListener("focus", () => input("link").select());
  byId("again").addEventListener("click", () => {
    show("signin");
    byId("start").focus();
  });
}

const wanted = () => session?.wants ?? session?.state ?? { isMuted: false, isPaused: false, volume: 1 };

async function start() {
  problem("");
  const token = input("token").value.trim();
  if (!token) {
    byId("access").setAttribute("open", "");
    input("token").focus();
    return problem("A token is needed. Paste the one that you were given, then press Start again.");
  }
  busy("Opening the microphone…");
  if (!(await openMicrophone())) return busy("");
  busy("Connecting…");
  startedMs = Date.now();
  mostListeners = 0;
  return join({ token, sourceLanguage: select("language").value });
}

/** @param {{token: string, sourceLanguage: string, sessionId?: string}} who */
function join(who) {
  drawListeners(0, {});
  const joined = new Session(config.ws, who, { onChange: draw, onMessage: (message) => received(who, message) });
  session = joined;
  joined.connection.dial();
}

/** After a reload: back into the session at once, and the microphone with the next press. @param {any} before */
function comeBack(before) {
  startedMs = before.startedMs;
  mostListeners = before.mostListeners ?? 0;
  const { token, sourceLanguage, sessionId } = before;
  for (const id of Object.keys(INPUTS)) input(id).checked = before.wish?.[INPUTS[/** @type {"echo"} */ (id)]] ?? true;
  deviceId = before.wish?.deviceId ?? "";
  join({ token, sourceLanguage, sessionId });
  enter();
}

async function continueSpeaking() {
  problem("");
  input("continue").disabled = true;
  await openMicrophone();
  input("continue").disabled = false;
  draw();
  if (microphone) byId("mute").focus();
}

function wish() {
  const processing = Object.fromEntries(Object.entries(INPUTS).map(([id, name]) => [name, input(id).checked]));
  return /** @type {import("./speaking/capture.js").Wish} */ ({ deviceId, ...processing });
}

async function openMicrophone() {
  const opened = new Microphone(new URL("speaking/capture-worklet.js", import.meta.url), heard, troubled);
  try {
    await opened.open(wish());
  } catch (error) {
    problem(explain(error));
    return false;
  }
  microphone = opened;
  offerDevices();
  return true;
}

/** @param {import("./speaking/chunks.js").Chunk} chunk */
function heard(chunk) {
  drawLevel(chunk, session?.isSilent ?? true);
  session?.take(chunk);
  const behindMs = session?.outgoing.behindMs(performance.now()) ?? 0;
  const isSlow = session?.connection.state === "open" && behindMs > BEHIND_MS;
  warnings.set("network", isSlow ? `The network is slow: what you say arrives ${Math.round(behindMs / 1000)} s late. Come closer to the router, or use a cable.` : "");
}

/** @param {"gone" | "silenced" | "heard"} why */
function troubled(why) {
  warnings.set("device", why === "silenced" ? "The system has taken the microphone's sound. Check its switch, and other programs." : "");
  if (why === "gone") {
    closeMicrophone();
    problem("The microphone has gone. Plug it in again, then press Continue speaking.");
    draw();
  }
}

function closeMicrophone() {
  microphone?.close();
  microphone = null;
  drawLevel({ peak: 0, rms: 0 }, true);
}

/** @param {{token: string, sourceLanguage: string}} who @param {import("./common/protocol.js").Message} message */
function received(who, message) {
  switch (message.type) {
    case "sessionCreated":
    case "sessionResumed":
      problem("");
      remember(sessionStorage, WHERE, { ...who, sessionId: message.sessionId, startedMs, mostListeners, wish: wish() });
      return enter();
    case "sessionStatus":
      mostListeners = Math.max(mostListeners, message.listenerCount);
      return drawListeners(message.listenerCount, message.languageDistribution ?? {});
    case "audioQualityWarning":
      return warnings.set(message.code, message.active === false ? "" : qualityAdvice(message), QUALITY_SHOWN_MS);
    case "sessionEnded":
      return leave("");
    case "error":
      return refused(message);
    default:
      return undefined;
  }
}

/** @param {import("./common/protocol.js").Message} message */
function refused(message) {
  if (message.code === "SESSION_NOT_FOUND") return leave(advice(message.code));
  const isChunk = message.details?.sequence !== undefined;
  if (isChunk && message.code !== "INVALID_AUDIO_FORMAT") return undefined; // it goes again, or was said while muted
  return warnings.set("error", advice(message.code), 15_000);
}

function enter() {
  if (!session) return;
  busy("");
  const id = session.sessionId;
  tell(byId("session"), id);
  const link = listenLink(config, document.baseURI, location.search, id);
  input("link").value = link;
  drawCode(link);
  document.title = `${id} · Herald`;
  show("live");
  awake.set(true);
  draw();
}

/** The session is over. @param {string} why a sentence, or "" */
function leave(why) {
  closeMicrophone();
  session?.leave();
  session = null;
  remember(sessionStorage, WHERE, null);
  warnings.clear();
  awake.set(false);
  byId("session").hidden = true;
  document.title = "Speak · Herald";
  problem("");
  const people = mostListeners === 1 ? "one listener" : `${mostListeners} listeners`;
  const most = mostListeners ? ` It had ${people} at the same time at most.` : "";
  write(byId("summary"), why || `It went on for ${clock((Date.now() - startedMs) / 1000)}.${most}`);
  show("ended");
}

/** The state of things, as far as it is not a message's. */
function draw() {
  if (!session) return;
  if (byId("live").hidden) return drawEntry();
  const { connection } = session;
  if (connection.state === "refused") return shutOut();
  const { isMuted, isPaused, volume } = wanted();
  press("mute", isMuted, isMuted ? "Unmute" : "Mute");
  press("pause", isPaused, isPaused ? "Resume" : "Pause");
  if (document.activeElement !== byId("volume")) input("volume").value = String(Math.round(volume * 100));
  write(byId("volume-value"), `${input("volume").value} %`);
  byId("continue").hidden = microphone !== null;
  input("end").disabled = session.isEnding;
  const [state, text] = situation();
  byId("state").dataset.state = state;
  write(byId("state"), text);
  const isAway = connection.state !== "open";
  warnings.set("away", isAway ? "The connection is lost and is being opened again. What you say is kept for a minute, and sent when it is back." : "");
  return undefined;
}

/** @returns {[string, string]} */
function situation() {
  const { isMuted, isPaused } = wanted();
  if (session?.isEnding) return ["held", "Ending…"];
  if (session?.connection.state !== "open") return ["trouble", "Reconnecting…"];
  if (!microphone) return ["held", "Microphone is off"];
  if (isPaused) return ["held", "Paused"];
  return isMuted ? ["held", "Muted"] : ["on-air", "On air"];
}

/** @param {string} id @param {boolean} isPressed @param {string} text */
function press(id, isPressed, text) {
  byId(id).setAttribute("aria-pressed", String(isPressed));
  write(byId(id), text);
}

/** Before the session is there. */
function drawEntry() {
  const state = session?.connection.state;
  if (state === "refused") giveUp("The service did not let you in. The token may have expired, or the language is not on offer. Get a new token, then press Start again.");
  if (state === "waiting") giveUp("The service cannot be reached. Check your network, then press Start again.");
}

/** @param {string} why */
function giveUp(why) {
  session?.leave();
  session = null;
  closeMicrophone();
  busy("");
  problem(why);
}

/** Not let back in: another token may do it, if the session is still there. */
function shutOut() {
  const before = remembered(sessionStorage, WHERE);
  giveUp("");
  warnings.clear();
  const again = make("button", { type: "button", class: "link" }, `Go back to ${before?.sessionId}`);
  again.addEventListener("click", () => {
    problem("");
    comeBack({ ...before, token: input("token").value.trim() || before.token });
  });
  byId("session").hidden = true;
  problem("The session has ended, or your token has expired. Start a new session, or paste a new token and go back. ");
  if (before) byId("problem").append(again);
  byId("access").setAttribute("open", "");
  show("signin");
}

/** @param {string} text "" when nothing is going on */
function busy(text) {
  input("start").disabled = Boolean(text);
  write(byId("start"), text || "Start speaking");
}

/** @param {string} text */
function problem(text) {
  tell(byId("problem"), text);
  if (text) byId("problem").scrollIntoView({ block: "nearest" });
}

function drawTime() {
  if (!session) return;
  const seconds = (Date.now() - startedMs) / 1000;
  write(byId("elapsed"), clock(seconds));
  byId("elapsed").setAttribute("datetime", `PT${Math.floor(seconds)}S`);
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(input("link").value);
    write(byId("copied"), "Copied. Paste it wherever your listeners are.");
  } catch {
    input("link").select();
    write(byId("copied"), "The browser would not copy it. It is selected: copy it yourself.");
  }
  setTimeout(() => write(byId("copied"), ""), 6_000);
}
