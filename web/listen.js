/**
 * The listener's page: into a session by its link, captions at once, sound with one press.
 */

import { combine, listenLink, load, sessionOf } from "./common/config.js";
import { Connection } from "./common/connection.js";
import { Awake, byId, choices, remember, remembered, tell, watchNetwork, write } from "./common/dom.js";
import { candidates, ownName } from "./common/languages.js";
import { INITIAL_STATE, WELCOMES, address, advice, reduce } from "./common/protocol.js";
import { Captions } from "./listening/captions.js";
import { Player } from "./listening/player.js";
import { CaptionView, announce, resize } from "./listening/view.js";

/** @typedef {import("./common/protocol.js").Message} Message */

const LANGUAGE = "herald.language";
const SIZE = "herald.size";
const VOLUME = "herald.volume";
const BEHIND_S = 8;
/** Languages that are tried one after the other, where nobody says beforehand which there are. */
const TRIED = 3;

const input = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
const select = () => /** @type {HTMLSelectElement} */ (byId("language"));

let config = combine({}, "");
let name = "";
let language = "";
let connectionId = "";
let state = INITIAL_STATE;
let isEnded = false;
let isSkipping = false;
let soundState = "waiting";
let size = remembered(localStorage, SIZE) ?? 1;
/** @type {Connection | null} */
let connection = null;
const captions = new Captions();
const view = new CaptionView();
const awake = new Awake();
const player = new Player((found) => {
  soundState = found;
  drawSound();
});

begin();

async function begin() {
  config = await load(document.baseURI, location.search);
  connectHands();
  watchNetwork(() => connection);
  setInterval(drawSound, 1_000);
  name = sessionOf(location.pathname, location.search);
  if (!config.ws) return fail("This page does not know where the service is. Ask whoever gave you the link for another one.");
  if (!name) return ask("");
  tell(byId("session"), name);
  document.title = `${name} · Herald`;
  const wanted = [remembered(localStorage, LANGUAGE), ...navigator.languages].filter((code) => typeof code === "string");
  return join(candidates(wanted, config.targetLanguages).slice(0, TRIED));
}

function connectHands() {
  size = resize(size);
  const level = remembered(localStorage, VOLUME) ?? 100;
  input("volume").value = String(level);
  player.setVolume(loudness(level));
  byId("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = input("name").value.trim().toLowerCase().replaceAll(/\s+/g, "-");
    if (!wanted) return ask("Write the session's name, such as golden-eagle-427, then press Join.");
    const link = listenLink(config, document.baseURI, location.search, wanted);
    if (link === location.href) location.reload();
    else location.assign(link);
    return undefined;
  });
  byId("play").addEventListener("click", () => (player.isOn ? pause() : listen()));
  select().addEventListener("change", changeLanguage);
  input("volume").addEventListener("input", () => {
    const chosen = Number(input("volume").value);
    player.setVolume(loudness(chosen));
    remember(localStorage, VOLUME, chosen);
  });
  for (const [id, by] of /** @type {[string, number][]} */ ([["smaller", -1], ["larger", 1]])) {
    byId(id).addEventListener("click", () => {
      size = resize(size + by);
      remember(localStorage, SIZE, size);
    });
  }
  byId("skip").addEventListener("click", () => {
    player.skip();
    byId("play").focus();
  });
}

/** Ears hear ratios: the slider's middle is about half as loud. @param {number} percent */
const loudness = (percent) => (percent / 100) ** 2;

/** @param {string[]} languages to try, the likeliest first */
function join(languages) {
  const [first, ...others] = languages;
  language = first;
  let hasBeenIn = false;
  const dialed = new Connection({
    url: (isReturn) =>
      address(config.ws, {
        action: "joinSession",
        sessionId: name,
        targetLanguage: language,
        returning: isReturn ? "true" : undefined,
      }),
    refreshUrl: () =>
      address(config.ws, {
        action: "refreshConnection",
        sessionId: name,
        targetLanguage: language,
        connectionId: connectionId || undefined,
      }),
    onMessage: (message) => {
      hasBeenIn ||= WELCOMES.has(message.type);
      received(message);
    },
    onState: (found) => {
      if (found !== "refused") return drawNotice();
      if (!hasBeenIn && others.length) return join(others);
      return refused(hasBeenIn);
    },
  });
  connection = dialed;
  dialed.dial();
}

/** @param {Message} message */
function received(message) {
  const { line, at, said } = message.type === "caption" ? captions.take(message) : { line: null, at: 0, said: "" };
  if (line) view.draw(line, at, captions.lines.length);
  if (said && line && !player.isOn) announce(said, line.language);
  switch (message.type) {
    case "sessionJoined":
    case "connectionRefreshed":
      return welcomed(message);
    case "translatedAudio":
      isSkipping = false;
      return player.take(message);
    case "speechSkipped":
      isSkipping = true;
      return drawSound();
    case "languageChanged":
      return setLanguage(message.targetLanguage);
    case "sessionEnded":
      return end();
    case "error":
      return problem(message);
    default:
      state = reduce(state, message);
      return drawNotice();
  }
}

/** @param {Message} message */
function welcomed(message) {
  state = reduce(state, message);
  connectionId = message.connectionId ?? "";
  tell(byId("problem"), "");
  const offered = message.targetLanguages ?? [language];
  const named = offered.map((/** @type {string} */ code) => ({ value: code, text: ownName(code), lang: code }));
  named.sort((/** @type {{text: string}} */ a, /** @type {{text: string}} */ b) => a.text.localeCompare(b.text));
  choices(select(), named, "");
  setLanguage(message.targetLanguage ?? language);
  byId("join").hidden = true;
  byId("talk").hidden = false;
  drawNotice();
  drawSound();
}

/** @param {string} code */
function setLanguage(code) {
  language = code;
  select().value = code;
  byId("captions").lang = code;
  drawNotice();
}

function changeLanguage() {
  const targetLanguage = select().value;
  remember(localStorage, LANGUAGE, targetLanguage);
  player.skip(); // what waits is in the language before
  if (connection?.send({ action: "changeLanguage", targetLanguage })) return;
  setLanguage(targetLanguage); // and asked for when the connection is back
}

async function listen() {
  tell(byId("problem"), "");
  awake.set(true);
  try {
    await player.start();
  } catch {
    tell(byId("problem"), "This browser cannot play the sound. Read the captions, or open the link in another browser.");
  }
  drawSound();
}

function pause() {
  player.stop();
  awake.set(false);
  connection?.send({ action: "pausePlayback" });
  drawSound();
}

function end() {
  isEnded = true;
  connection?.close();
  awake.set(false);
  drawNotice();
  drawSound();
}

/** @param {boolean} hasBeenIn */
function refused(hasBeenIn) {
  connection?.close();
  if (hasBeenIn) return end();
  return ask("There is no such session now: it may have ended, be full, or be called otherwise. Check the name with the speaker, then press Join.");
}

/** Ask for a session's name. @param {string} why */
function ask(why) {
  byId("talk").hidden = true;
  byId("join").hidden = false;
  byId("notice").hidden = true;
  byId("session").hidden = true;
  input("name").value = name;
  fail(why);
  input("name").focus();
}

/** @param {Message} message */
function problem(message) {
  if (message.code === "SESSION_NOT_FOUND") return end();
  select().value = language;
  return fail(advice(message.code));
}

/** @param {string} text */
function fail(text) {
  tell(byId("problem"), text);
}

function drawNotice() {
  tell(byId("notice"), notice());
}

/** What the listener should know of the talk, in one sentence. */
function notice() {
  if (isEnded) return "The session has ended. The captions stay until you leave this page.";
  const found = connection?.state;
  if (found === "dialing") return byId("talk").hidden ? "Joining…" : "Reconnecting…";
  if (found === "waiting") return "The connection is lost and is being opened again. Check your network if this stays.";
  if (state.isAway) return "The speaker has lost the connection. The talk goes on when they are back.";
  if (state.isPaused) return "The speaker has paused the talk. It goes on by itself.";
  if (state.isMuted) return "The speaker is muted.";
  return "";
}

function drawSound() {
  const hasSound = soundState === "playing";
  const isOver = isEnded && !hasSound;
  if (isOver && player.isOn) player.stop();
  write(byId("play"), player.isOn ? "Pause" : "Listen");
  /** @type {HTMLButtonElement} */ (byId("play")).disabled = isOver;
  select().disabled = isEnded;
  const behindS = player.behindS;
  byId("skip").hidden = behindS < BEHIND_S;
  write(byId("sound-text"), soundText(behindS));
}

/** @param {number} behindS */
function soundText(behindS) {
  if (isEnded && !player.isOn) return "";
  if (!player.isOn) return "Sound is off. Press Listen to hear the talk; captions go on by themselves.";
  if (soundState === "blocked") return "The browser holds the sound back. Press Pause, then Listen.";
  if (behindS >= BEHIND_S) return `The speech is ${Math.round(behindS)} s behind.`;
  if (isSkipping) return "Some speech came too late to be spoken. The captions have it.";
  const level = state.volume < 1 ? ` The speaker has set the volume to ${Math.round(state.volume * 100)} %.` : "";
  return (soundState === "playing" ? "Playing." : "Waiting for the next words.") + level;
}
