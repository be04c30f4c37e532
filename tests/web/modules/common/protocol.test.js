import assert from "node:assert/strict";
import { test } from "node:test";

import { INITIAL_STATE, address, advice, clock, parse, qualityAdvice, reduce } from "../../../../web/common/protocol.js";

test("addresses keep what they have and leave out what is not there", () => {
  const found = address("ws://127.0.0.1:8080/live", { action: "joinSession", sessionId: "a b", connectionId: undefined });
  assert.equal(found, "ws://127.0.0.1:8080/live?action=joinSession&sessionId=a+b");
});

test("the state follows the notices; one that is older than what is known changes nothing (W3 to W6, W18)", () => {
  const say = (...messages) => messages.reduce(reduce, INITIAL_STATE);
  assert.equal(say({ type: "broadcastPaused", stateVersion: 1 }).isPaused, true);
  assert.equal(say({ type: "broadcastResumed", stateVersion: 2 }, { type: "broadcastPaused", stateVersion: 1 }).isPaused, false);
  assert.equal(say({ type: "volumeChanged", volumeLevel: 0.3, stateVersion: 1 }).volume, 0.3);
  const whole = { isActive: true, isPaused: true, isMuted: true, volume: 0.5, lastStateChange: 1 };
  assert.deepEqual(say({ type: "speakerStateChanged", state: whole, stateVersion: 4 }), {
    isPaused: true, isMuted: true, volume: 0.5, isAway: false, version: 4,
  });
  assert.equal(say({ type: "sessionJoined", broadcastState: whole }).isMuted, true);
  assert.equal(say({ type: "speakerDisconnected" }).isAway, true);
  assert.equal(say({ type: "speakerDisconnected" }, { type: "speakerReconnected" }).isAway, false);
  assert.equal(say({ type: "sessionStatus", broadcastState: whole }), INITIAL_STATE);
});

test("every error has a sentence that says what to do", () => {
  for (const code of ["UNAUTHENTICATED", "SESSION_FULL", "UNSUPPORTED_LANGUAGE", "SOMETHING_NEW"]) {
    assert.match(advice(code), /^[A-Z].*\. .*\.$/);
  }
  assert.match(qualityAdvice({ type: "audioQualityWarning", code: "AUDIO_ECHO" }), /headphones/);
  assert.equal(qualityAdvice({ type: "audioQualityWarning", code: "NEW", message: "So it is." }), "So it is.");
});

test("messages are objects with a type", () => {
  assert.deepEqual(parse('{"type":"caption"}'), { type: "caption" });
  for (const text of ["", "null", "[]", '"x"', '{"type":1}', "{", new ArrayBuffer(2)]) assert.equal(parse(text), null);
});

test("times are read as clocks", () => {
  assert.deepEqual([0, 7.9, 750, 3723, -5].map(clock), ["0:00", "0:07", "12:30", "1:02:03", "0:00"]);
});
