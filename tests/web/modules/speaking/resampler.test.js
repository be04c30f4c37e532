import assert from "node:assert/strict";
import { test } from "node:test";

import { RATE_HZ, Resampler, toPcm16 } from "../../../../web/speaking/resampler.js";

const sine = (hz, rateHz, seconds) =>
  Float32Array.from({ length: Math.round(rateHz * seconds) }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hz * i) / rateHz));

/** In blocks as the audio thread gives them. */
function resampled(samples, rateHz, block = 128) {
  const resampler = new Resampler(rateHz);
  const found = [];
  for (let at = 0; at < samples.length; at += block) found.push(...resampler.push(samples.subarray(at, at + block)));
  return found;
}

/** Of the steady part, relative to a sine of 0.5. */
function levelDb(samples) {
  const steady = samples.slice(800, -800);
  return 20 * Math.log10(Math.sqrt(steady.reduce((sum, x) => sum + x * x, 0) / steady.length) / (0.5 * Math.SQRT1_2) + 1e-9);
}

for (const rateHz of [22_050, 32_000, 44_100, 48_000, 96_000]) {
  test(`from ${rateHz} Hz it is flat to 7 kHz, and 50 dB down above 9 kHz`, () => {
    for (const hz of [100, 1000, 3000, 5000, 6500, 7000]) {
      const db = levelDb(resampled(sine(hz, rateHz, 0.2), rateHz));
      assert.ok(Math.abs(db) < 1, `${hz} Hz: ${db} dB`);
    }
    for (const hz of [9000, 9500, 10_500].filter((f) => f < rateHz / 2)) {
      const db = levelDb(resampled(sine(hz, rateHz, 0.2), rateHz));
      assert.ok(db < -50, `${hz} Hz: ${db} dB`);
    }
  });
}

test("samples lie where they were: no delay, no drift, whatever the blocks", () => {
  for (const rateHz of [8_000, 44_100, 48_000]) {
    const wanted = sine(440, RATE_HZ, 2);
    const input = sine(440, rateHz, 2);
    for (const block of [128, 100, 977]) {
      const found = resampled(input, rateHz, block);
      assert.ok(found.length > 2 * RATE_HZ - 100 && found.length <= 2 * RATE_HZ);
      const off = Math.max(...found.slice(200, -200).map((x, i) => Math.abs(x - wanted[i + 200])));
      assert.ok(off < 0.002, `${rateHz} Hz in ${block}: ${off}`);
    }
  }
});

test("16 kHz passes untouched", () => {
  const samples = sine(700, RATE_HZ, 0.1);
  assert.deepEqual(resampled(samples, RATE_HZ), [...samples]);
});

test("PCM saturates and does not wrap", () => {
  assert.deepEqual([...toPcm16([0, 0.5, 1, 2, -1, -2])], [0, 16384, 32767, 32767, -32768, -32768]);
});
