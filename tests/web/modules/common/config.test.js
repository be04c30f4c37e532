import assert from "node:assert/strict";
import { test } from "node:test";

import { combine, listenLink, sessionOf } from "../../../../web/common/config.js";

test("the query comes before the file; a token goes nowhere but to the service that it came with", () => {
  const file = { ws: "wss://service/live", token: "T" };
  assert.deepEqual(combine(file, ""), { ...file, listenPath: "listen.html?session={session}" });
  assert.equal(combine(file, "?ws=wss://other/live").ws, "wss://other/live");
  assert.equal(combine(file, "?ws=wss://other/live").token, undefined);
  assert.equal(combine(file, "?ws=wss://service/live").token, "T");
  for (const wrong of ["javascript:alert(1)", "https://x", ""]) assert.equal(combine({ ws: wrong }, "").ws, "");
  for (const nothing of [null, "x", 3]) assert.equal(combine(nothing, "").ws, "");
});

test("links for listeners, on the local stack and on any static host", () => {
  const local = combine({ ws: "ws://h/live", listenPath: "../listen/{session}" }, "");
  assert.equal(listenLink(local, "http://h/web/", "", "golden-eagle-427"), "http://h/listen/golden-eagle-427");
  const other = combine({ ws: "wss://s/live" }, "");
  assert.equal(listenLink(other, "https://h/talks/speak.html", "", "a-b-1"), "https://h/talks/listen.html?session=a-b-1");
  const told = listenLink(other, "https://h/speak.html", "?ws=wss://s/x", "a-b-1");
  assert.equal(told, "https://h/listen.html?session=a-b-1&ws=wss%3A%2F%2Fs%2Fx");
});

test("the session is found in either", () => {
  assert.equal(sessionOf("/listen/golden-eagle-427", ""), "golden-eagle-427");
  assert.equal(sessionOf("/talks/listen.html", "?session=Golden-Eagle-427"), "golden-eagle-427");
  assert.equal(sessionOf("/talks/listen.html", ""), "");
  assert.equal(sessionOf("/listen/%E0%A4%A", ""), "");
});
