import assert from "node:assert/strict";
import { test } from "node:test";

import { encode } from "../../../../web/speaking/qr.js";

test("it grows with the text, and says so when there is too much", () => {
  assert.equal(encode("a").length, 21);
  assert.equal(encode("x".repeat(2331)).length, 177);
  assert.throws(() => encode("x".repeat(2332)), /too long/);
});
