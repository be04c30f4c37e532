import assert from "node:assert/strict";
import { test } from "node:test";

import { Playback, decode } from "../../../../web/listening/playback.js";

const RATE = 1_000; // a frame is a millisecond

const part = (clause, number = 0, of = 1, fields = {}) => ({
  utteranceId: "u", clause, part: number, parts: of, sequence: clause, language: "es", ...fields,
});
const samples = (count = 700) => new Float32Array(count);

/** Give out all that is due from now on. */
function given(playback, now) {
  const found = [];
  for (let due = playback.next(now); due; due = playback.next(now)) found.push([due.startFrame, due.joins, due.isLast]);
  return found;
}

test("parts of a clause join to the frame; the next clause follows (W16)", () => {
  const playback = new Playback(RATE);
  for (let i = 0; i < 3; i++) playback.take(part(0, i, 3), samples(), 1000);
  playback.take(part(1), samples(), 1000);
  assert.deepEqual(given(playback, 1000), [[1100, false, false], [1800, true, false], [2500, true, true]]);
  assert.deepEqual(given(playback, 2000), [[3200, false, true]]);
  assert.equal(playback.isBusy, false);
});

test("what comes again is heard once", () => {
  const playback = new Playback(RATE);
  assert.equal(playback.take(part(0), samples(), 0), true);
  assert.equal(playback.take(part(0), samples(), 0), false);
  assert.equal(given(playback, 0).length, 1);
  assert.equal(playback.take(part(0), samples(), 5000), false);
  assert.equal(playback.repeats, 2);
  assert.equal(given(playback, 5000).length, 0);
});

test("clauses from before the first one heard are dropped, in each language apart", () => {
  const playback = new Playback(RATE);
  playback.take(part(7), samples(), 0);
  assert.equal(playback.take(part(6), samples(), 0), false);
  assert.equal(playback.take(part(2, 0, 1, { language: "ca", utteranceId: "v" }), samples(), 0), true);
});

test("a clause that overtook another waits for it, not for ever", () => {
  const playback = new Playback(RATE);
  playback.take(part(0), samples(100), 0);
  assert.equal(given(playback, 0).length, 1);
  playback.take(part(2), samples(100), 0);
  assert.equal(given(playback, 300).length, 0);
  playback.take(part(1), samples(100), 350);
  assert.equal(given(playback, 350).length, 2);
  playback.take(part(4), samples(100), 400);
  assert.equal(given(playback, 900).length, 0);
  assert.equal(given(playback, 2000).length, 1);
  assert.equal(playback.take(part(3), samples(100), 2100), false);
});

test("a part that is late leaves a gap and makes the lead longer; one that never comes is skipped", () => {
  const playback = new Playback(RATE);
  playback.take(part(0, 0, 3), samples(), 0);
  assert.deepEqual(given(playback, 0), [[100, false, false]]);
  const lead = playback.leadFrames;
  playback.take(part(0, 1, 3), samples(), 900);
  assert.deepEqual(given(playback, 900), [[900 + playback.leadFrames, false, false]]);
  assert.ok(playback.leadFrames > lead);
  assert.equal(playback.late, 1);
  playback.take(part(1), samples(), 1000);
  assert.equal(given(playback, 2000).length, 0);
  const after = given(playback, 2700);
  assert.equal(playback.lost, 1);
  assert.equal(after.length, 1);
});

test("clauses with time to spare make the lead shorter, down to a floor", () => {
  const playback = new Playback(RATE);
  for (let i = 0; i < 100; i++) {
    playback.take(part(i), samples(100), 1000 * i);
    given(playback, 1000 * i);
  }
  assert.equal(playback.leadFrames, 60);
});

test("no more is given out than the horizon holds; what waits can be skipped", () => {
  const playback = new Playback(RATE);
  for (let i = 0; i < 20; i++) playback.take(part(i), samples(1000), 0);
  assert.ok(given(playback, 0).length <= 3);
  assert.ok(playback.behindS(0) > 19);
  playback.skip(500);
  assert.equal(playback.behindS(500), 0);
  assert.equal(playback.take(part(19), samples(), 500), false);
  playback.take(part(20), samples(), 600);
  const wanted = [[600 + playback.leadFrames, false, true]];
  assert.deepEqual(given(playback, 600), wanted);
});

test("speech that would be half a minute late is left out, the oldest first", () => {
  const playback = new Playback(RATE);
  for (let i = 0; i < 50; i++) playback.take(part(i), samples(1000), 0);
  assert.ok(playback.behindS(0) <= 31);
  assert.equal(playback.dropped, 19);
  assert.equal(given(playback, 0).length, 2);
  assert.equal(playback.take(part(3), samples(1000), 0), false);
  assert.equal(playback.lost, 0);
});

test("a change of language while a clause plays lets it end, then goes on in the other", () => {
  const playback = new Playback(RATE);
  playback.take(part(5, 0, 2), samples(), 0);
  given(playback, 0);
  playback.take(part(0, 0, 1, { language: "ca", utteranceId: "v" }), samples(), 10);
  playback.take(part(5, 1, 2), samples(), 20);
  assert.deepEqual(given(playback, 20), [[800, true, true], [1500, false, true]]);
});

test("samples are read as they are written", () => {
  const bytes = Buffer.from(Int16Array.from([0, 16384, -16384, 32767, -32768]).buffer);
  assert.deepEqual([...decode(bytes.toString("base64"))], [0, 0.5, -0.5, 32767 / 32768, -1]);
});
