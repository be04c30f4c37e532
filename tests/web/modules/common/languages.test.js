import assert from "node:assert/strict";
import { test } from "node:test";

import { candidates, direction, englishName, ownName } from "../../../../web/common/languages.js";

test("languages have their own names, and Arabic its direction (W23)", () => {
  assert.deepEqual(["es", "ca", "ar", "zz", "!"].map(ownName), ["Español", "Català", "العربية", "zz", "!"]);
  assert.equal(englishName("pt-BR"), "Brazilian Portuguese");
  assert.deepEqual(["ar", "ar-SA", "es", "he"].map(direction), ["rtl", "rtl", "ltr", "rtl"]);
});

test("a visitor's languages come first, then English, then whatever there is", () => {
  assert.deepEqual(candidates(["ca", "es-MX", "ca"], undefined), ["ca", "es", "en"]);
  assert.deepEqual(candidates(["de", "es-MX"], ["es", "en"]), ["es", "en"]);
  assert.deepEqual(candidates(["de"], ["fr", "it"]), ["fr"]);
});
