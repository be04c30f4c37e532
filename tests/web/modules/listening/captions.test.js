import assert from "node:assert/strict";
import { test } from "node:test";

import { Captions } from "../../../../web/listening/captions.js";

const caption = (fields) => ({
  type: "caption", utteranceId: "u1", language: "en", revision: 0, text: "one two", committed: 0, isFinal: false,
  startMs: 0, endMs: 1, ...fields,
});

test("a line grows; what is said aloud is what was committed anew (W16)", () => {
  const captions = new Captions();
  assert.equal(captions.take(caption({})).said, "");
  assert.equal(captions.take(caption({ revision: 1, text: "one two three", committed: 7 })).said, "one two");
  const { line, said } = captions.take(caption({ revision: 2, text: "one two three four", committed: 8, isFinal: true }));
  assert.equal(said, "three four");
  assert.equal(line.committed, line.text.length);
  assert.equal(captions.lines.length, 1);
});

test("repeats, what was overtaken, and what comes after the final change nothing", () => {
  const captions = new Captions();
  captions.take(caption({ revision: 3, text: "one two" }));
  for (const revision of [3, 2]) assert.equal(captions.take(caption({ revision, text: "x" })).line, null);
  captions.take(caption({ revision: 4, isFinal: true }));
  assert.equal(captions.take(caption({ revision: 5, text: "x" })).line, null);
  assert.equal(captions.lines[0].text, "one two");
});

test("lines stand in the order of speech; the oldest go", () => {
  const captions = new Captions();
  captions.take(caption({ utteranceId: "b", startMs: 2000 }));
  assert.equal(captions.take(caption({ utteranceId: "a", startMs: 1000 })).at, 0);
  assert.deepEqual(captions.lines.map(({ utteranceId }) => utteranceId), ["a", "b"]);
  for (let i = 0; i < 400; i++) captions.take(caption({ utteranceId: `n${i}`, startMs: 3000 + i }));
  assert.equal(captions.lines.length, 300);
  assert.equal(captions.lines.at(-1).utteranceId, "n399");
});

test("after a change of language an utterance's line changes too, and is not there twice (W9)", () => {
  const captions = new Captions();
  captions.take(caption({ revision: 5, committed: 3 }));
  const { line, at } = captions.take(caption({ language: "es", revision: 0, text: "uno dos", committed: 7 }));
  assert.deepEqual([at, line.text, captions.lines.length], [0, "uno dos", 1]);
});
