import assert from "node:assert/strict";
import { test } from "node:test";

import { Session } from "../../../../web/speaking/session.js";
import { World } from "../world.js";

const chunk = (capturedMs) => ({ pcm: Int16Array.from([1, 2]), capturedMs, peak: 0, rms: 0 });
const state = (fields) => ({ broadcastState: { isPaused: false, isMuted: false, volume: 1, ...fields } });

function speaking() {
  const world = new World();
  const session = new Session("ws://x/live", { token: "T", sourceLanguage: "en-US" }, world.listener, world.outside);
  session.connection.dial();
  world.socket.says({ type: "sessionCreated", sessionId: "s1", ...state({}) });
  world.socket.sent.length = 0;
  return { world, session };
}

const audio = (socket) => socket.sent.filter(({ action }) => action === "sendAudio").map(({ sequence }) => sequence);

test("nothing is sent that was captured after mute was pressed, and everything from unmute on", () => {
  const { world, session } = speaking();
  session.take(chunk(0));
  session.want({ isMuted: true });
  session.take(chunk(100)); // the service does not know yet
  world.socket.says({ type: "broadcastMuted", stateVersion: 1 });
  world.pass(500);
  session.take(chunk(600));
  session.want({ isMuted: false });
  session.take(chunk(700)); // kept until the door is open
  assert.deepEqual(audio(world.socket), [0]);
  world.socket.says({ type: "broadcastUnmuted", stateVersion: 2 });
  world.pass(100);
  assert.deepEqual(audio(world.socket), [0, 1]);
  assert.deepEqual(world.socket.sent.find(({ sequence }) => sequence === 1).timestamp, 700);
});

test("mute pressed without a connection counts at once, and is asked for when it is back", () => {
  const { world, session } = speaking();
  world.socket.cut();
  session.want({ isMuted: true });
  session.take(chunk(100));
  world.pass(1_000);
  assert.match(world.socket.url, /action=resumeSession&sessionId=s1&token=T&continueSequence=true/);
  world.socket.says({ type: "sessionResumed", sessionId: "s1", ...state({}) });
  assert.deepEqual(world.socket.sent.map(({ action }) => action), ["getSessionStatus", "muteBroadcast"]);
  world.socket.says({ type: "broadcastMuted", stateVersion: 1 });
  session.want({ isMuted: false });
  world.socket.says({ type: "broadcastUnmuted", stateVersion: 2 });
  world.pass(100);
  assert.deepEqual(audio(world.socket), []);
});

test("a page that was loaded anew says that it does not know its numbers", () => {
  const world = new World();
  const who = { token: "T", sourceLanguage: "en-US", sessionId: "s1" };
  const session = new Session("ws://x/live", who, world.listener, world.outside);
  session.connection.dial();
  assert.match(world.socket.url, /action=resumeSession.*continueSequence=false/);
  world.socket.says({ type: "sessionResumed", sessionId: "s1", ...state({ isMuted: true }) });
  assert.equal(session.isSilent, true); // as it was left
});

test("who changes their mind before the service has answered has what they wanted last", () => {
  const { world, session } = speaking();
  session.want({ isMuted: true });
  session.want({ isMuted: false });
  world.socket.says({ type: "broadcastMuted", stateVersion: 1 });
  assert.deepEqual(world.socket.sent.map(({ action }) => action), ["muteBroadcast", "unmuteBroadcast"]);
  world.socket.says({ type: "broadcastUnmuted", stateVersion: 2 });
  assert.equal(session.isSilent, false);
  session.want({ volume: 0.9 });
  session.want({ volume: 0.8 });
  session.want({ volume: 0.7 });
  world.socket.says({ type: "volumeChanged", volumeLevel: 0.9, stateVersion: 3 });
  const levels = world.socket.sent.filter(({ action }) => action === "setVolume").map(({ volumeLevel }) => volumeLevel);
  assert.deepEqual(levels, [0.9, 0.7]);
});

test("another page's change counts here too", () => {
  const { world, session } = speaking();
  session.want({ volume: 0.5 });
  world.socket.says({ type: "volumeChanged", volumeLevel: 0.5, stateVersion: 1 });
  world.socket.says({ type: "broadcastPaused", stateVersion: 2 });
  assert.equal(session.wants.isPaused, true);
  assert.deepEqual(world.socket.sent.map(({ action }) => action), ["setVolume"]);
});

test("a refusal of what was asked for gives way to what the service has", () => {
  const { world, session } = speaking();
  session.want({ volume: 0.4 });
  assert.deepEqual(world.socket.sent.at(-1), { action: "setVolume", volumeLevel: 0.4, sessionId: "s1" });
  world.socket.says({ type: "error", code: "RATE_LIMIT_EXCEEDED", message: "" });
  assert.equal((session.wants ?? session.state).volume, 1);
});

test("the end is asked for until it has come", () => {
  const { world, session } = speaking();
  session.end();
  world.socket.cut();
  world.pass(1_000);
  world.socket.says({ type: "sessionResumed", sessionId: "s1", ...state({}) });
  assert.equal(world.socket.sent.at(-1).action, "endSession");
  world.socket.says({ type: "sessionEnded", sessionId: "s1" });
  assert.equal(session.isOver, true);
  assert.equal(session.connection.state, "closed");
});
