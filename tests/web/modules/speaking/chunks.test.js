import assert from "node:assert/strict";
import { test } from "node:test";

import { CaptureClock, Chunker } from "../../../../web/speaking/chunks.js";

test("chunks have 100 ms each, one after another, with their time of capture and level", () => {
  const chunker = new Chunker(48_000);
  const found = [];
  for (let i = 1; i <= 400; i++) found.push(...chunker.push(new Float32Array(128).fill(0.5), 1_000_000 + (i * 128) / 48));
  assert.equal(found.length, 10);
  assert.ok(found.every(({ pcm }) => pcm.length === 1600));
  assert.ok(Math.abs(found[0].capturedMs - 1_000_000) < 6, String(found[0].capturedMs));
  assert.ok(found.every(({ capturedMs }, i) => Math.abs(capturedMs - found[0].capturedMs - 100 * i) <= 1));
  assert.ok(Math.abs(found[5].rms - 0.5) < 0.01 && Math.abs(found[5].peak - 0.5) < 0.01);
});

test("a thread that is held up moves no chunk; a computer that slept does", () => {
  const clock = new CaptureClock();
  const seen = [0, 100, 200 + 90, 300 + 30, 400, 500 + 8_000, 600 + 8_000];
  const times = seen.map((ms) => clock.begin(ms));
  assert.ok(times.slice(0, 5).every((ms, i) => Math.abs(ms - 100 * i) < 5), String(times));
  assert.equal(times[5], 8_500);
  assert.ok(Math.abs(times[6] - 8_600) < 2);
});

test("a sound card that is slower than the computer's clock is followed, without a jump", () => {
  const clock = new CaptureClock();
  let last = clock.begin(0);
  for (let i = 1; i <= 20_000; i++) {
    const seen = 100.02 * i; // 200 millionths
    const ms = clock.begin(seen);
    assert.ok(Math.abs(ms - last - 100) <= 1);
    assert.ok(Math.abs(ms - seen) < 5);
    last = ms;
  }
});
