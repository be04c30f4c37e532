import assert from "node:assert/strict";
import { test } from "node:test";

import { ANSWER_WITHIN_MS, MAX_HELD, Outgoing, base64 } from "../../../../web/speaking/outgoing.js";

const filled = (count) => {
  const outgoing = new Outgoing(0, () => 0);
  for (let i = 0; i < count; i++) outgoing.add(`c${i}`, 100 * i, 0);
  return outgoing;
};

/** Every chunk that may be sent from a moment on, with steps of 25 ms. */
function sent(outgoing, fromMs, forMs = 0) {
  const found = [];
  for (let ms = fromMs; ms <= fromMs + forMs; ms += 25) {
    const item = outgoing.take(ms);
    if (item) found.push(item.sequence);
  }
  return found;
}

test("chunks go in order, 40 a second at the most, 20 unanswered at the most", () => {
  const outgoing = filled(30);
  assert.deepEqual(sent(outgoing, 0, 450), [...Array(19).keys()]);
  assert.equal(outgoing.take(451), null);
  assert.deepEqual(sent(outgoing, 475, 1000), [19]);
  outgoing.onAcknowledged(0);
  assert.deepEqual(sent(outgoing, 2000, 100), [20]);
});

test("after a cut what was not acknowledged goes again, in order, with the same sequence and time", () => {
  const outgoing = filled(5);
  sent(outgoing, 0, 100);
  outgoing.onAcknowledged(0);
  outgoing.onAcknowledged(2);
  outgoing.onDisconnected();
  outgoing.add("c5", 500, 3000);
  const again = [];
  for (let ms = 3000; ms < 3200; ms += 25) {
    const item = outgoing.take(ms);
    if (item) again.push([item.sequence, item.capturedMs, item.audioData]);
  }
  assert.deepEqual(again, [[1, 100, "c1"], [3, 300, "c3"], [4, 400, "c4"], [5, 500, "c5"]]);
});

test("a chunk refused in passing goes again, alone, after a while; one refused for good does not", () => {
  const outgoing = filled(3);
  sent(outgoing, 0, 50);
  assert.equal(outgoing.onRefused(0, "SERVICE_UNAVAILABLE", 100), true);
  outgoing.onAcknowledged(1);
  assert.equal(outgoing.onRefused(2, "BROADCAST_MUTED", 110), false);
  assert.equal(outgoing.dropped, 1);
  outgoing.add("c3", 300, 110);
  assert.deepEqual(sent(outgoing, 175, 50), [0]);
  outgoing.onAcknowledged(0);
  assert.deepEqual(sent(outgoing, 250, 25), [3]);
});

test("what has no answer goes again; a late answer settles it all the same", () => {
  const outgoing = filled(1);
  sent(outgoing, 0);
  assert.equal(outgoing.giveUpWaiting(ANSWER_WITHIN_MS - 1), 0);
  assert.equal(outgoing.giveUpWaiting(ANSWER_WITHIN_MS), 1);
  assert.equal(outgoing.behindMs(6000), 6000);
  outgoing.onAcknowledged(0);
  assert.equal(outgoing.behindMs(6000), 0);
});

test("what waits when the door is shut is not heard later, and leaves no gap in the numbers", () => {
  const outgoing = filled(5);
  sent(outgoing, 0, 25);
  outgoing.onShut();
  outgoing.add("later", 9000, 9000);
  assert.deepEqual(sent(outgoing, 9000, 100), [2]);
  assert.equal(outgoing.dropped, 3);
  outgoing.onRefused(1, "BROADCAST_MUTED", 9000);
  outgoing.onAcknowledged(0);
  outgoing.onAcknowledged(2);
  assert.equal(outgoing.behindMs(9000), 0);
});

test("memory is bounded: the oldest is given up", () => {
  const outgoing = filled(MAX_HELD + 3);
  assert.equal(outgoing.dropped, 3);
  assert.deepEqual(sent(outgoing, 0), [3]);
});

test("base64 is that of the bytes, low byte first", () => {
  const pcm = Int16Array.from([0, 1, -1, 32767, -32768]);
  assert.equal(base64(pcm), Buffer.from([0, 0, 1, 0, 255, 255, 255, 127, 0, 128]).toString("base64"));
});
