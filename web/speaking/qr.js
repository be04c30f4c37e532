/**
 * A QR code of a text: byte mode, error correction level M, versions 1 to 40 (ISO/IEC 18004:2015). Pure.
 */

/** Level M, by version from 1: error correction codewords in each block, and blocks (table 9). */
const CHECK_PER_BLOCK = [
  10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26,
  26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28,
];
const BLOCKS = [
  1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16,
  17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49,
];
const LEVEL_M = 0;
const BYTE_MODE = 0b0100;

/**
 * The code as rows of modules, true for dark, without the quiet zone of 4 around it.
 * @param {string} text @returns {boolean[][]}
 */
export function encode(text) {
  const bytes = new TextEncoder().encode(text);
  const version = smallest(bytes.length);
  const codewords = interleave(pad(bytes, version), version);
  const grid = new Grid(version);
  grid.write(codewords);
  return grid.masked();
}

/** @param {number} length in bytes */
function smallest(length) {
  for (let version = 1; version <= 40; version++) {
    if (4 + countBits(version) + 8 * length <= 8 * dataCodewords(version)) return version;
  }
  throw new RangeError("The text is too long for a QR code.");
}

/** @param {number} version */
const countBits = (version) => (version < 10 ? 8 : 16);

/** @param {number} version */
const size = (version) => 17 + 4 * version;

/** Codewords of both kinds (annex: 16 v² + 128 v + 64 modules, less what patterns take). @param {number} version */
function allCodewords(version) {
  let modules = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const places = Math.floor(version / 7) + 2;
    modules -= (25 * places - 10) * places - 55;
    if (version >= 7) modules -= 36;
  }
  return Math.floor(modules / 8);
}

/** @param {number} version */
const dataCodewords = (version) => allCodewords(version) - CHECK_PER_BLOCK[version - 1] * BLOCKS[version - 1];

/** The data, with its head and what fills the code. @param {Uint8Array} bytes @param {number} version */
function pad(bytes, version) {
  const capacity = dataCodewords(version);
  /** @type {number[]} */
  const bits = [];
  const put = (/** @type {number} */ value, /** @type {number} */ count) => {
    for (let i = count - 1; i >= 0; i--) bits.push((value >>> i) & 1);
  };
  put(BYTE_MODE, 4);
  put(bytes.length, countBits(version));
  for (const byte of bytes) put(byte, 8);
  put(0, Math.min(4, 8 * capacity - bits.length));
  put(0, (8 - (bits.length % 8)) % 8);
  const data = new Uint8Array(capacity);
  for (let i = 0; i < capacity; i++) {
    const begin = 8 * i;
    if (begin < bits.length) data[i] = parseInt(bits.slice(begin, begin + 8).join(""), 2);
    else data[i] = (i - bits.length / 8) % 2 ? 0x11 : 0xec;
  }
  return data;
}

/** Blocks with their check words, taken in turns. @param {Uint8Array} data @param {number} version */
function interleave(data, version) {
  const count = BLOCKS[version - 1];
  const check = CHECK_PER_BLOCK[version - 1];
  const short = Math.floor(data.length / count);
  const longer = data.length % count;
  const divisor = generator(check);
  const blocks = [];
  for (let i = 0, at = 0; i < count; i++) {
    const block = data.subarray(at, at + short + (i >= count - longer ? 1 : 0));
    at += block.length;
    blocks.push({ block, remainder: divide(block, divisor) });
  }
  const result = [];
  for (let i = 0; i <= short; i++) for (const { block } of blocks) if (i < block.length) result.push(block[i]);
  for (let i = 0; i < check; i++) for (const { remainder } of blocks) result.push(remainder[i]);
  return result;
}

/** A product in the field of 256 elements modulo x^8 + x^4 + x^3 + x^2 + 1. @param {number} a @param {number} b */
function times(a, b) {
  let product = 0;
  for (let i = 7; i >= 0; i--) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((b >>> i) & 1) * a;
  }
  return product;
}

/** (x - 1)(x - 2)...(x - 2^(degree - 1)), its highest coefficient left out. @param {number} degree */
function generator(degree) {
  const result = new Uint8Array(degree);
  result[degree - 1] = 1;
  for (let i = 0, root = 1; i < degree; i++, root = times(root, 2)) {
    for (let j = 0; j < degree; j++) result[j] = times(result[j], root) ^ (result[j + 1] ?? 0);
  }
  return result;
}

/** @param {Uint8Array} data @param {Uint8Array} divisor */
function divide(data, divisor) {
  const result = new Uint8Array(divisor.length);
  for (const byte of data) {
    const factor = byte ^ result[0];
    result.copyWithin(0, 1);
    result[result.length - 1] = 0;
    divisor.forEach((coefficient, i) => (result[i] ^= times(coefficient, factor)));
  }
  return result;
}

/** @type {((x: number, y: number) => boolean)[]} (table 10) */
const MASKS = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** The modules: patterns first, then data in what they leave free. */
class Grid {
  /** @param {number} version */
  constructor(version) {
    this._version = version;
    this._size = size(version);
    const rows = () => Array.from({ length: this._size }, () => new Array(this._size).fill(false));
    /** @type {boolean[][]} */
    this._dark = rows();
    /** @type {boolean[][]} */
    this._taken = rows();
    this._patterns();
  }

  /** @param {number} x @param {number} y @param {boolean} dark */
  _set(x, y, dark) {
    this._dark[y][x] = dark;
    this._taken[y][x] = true;
  }

  _patterns() {
    const last = this._size - 1;
    for (let i = 0; i <= last; i++) {
      this._set(6, i, i % 2 === 0);
      this._set(i, 6, i % 2 === 0);
    }
    for (const [x, y] of [[3, 3], [last - 3, 3], [3, last - 3]]) this._rings(x, y, 4);
    const places = alignments(this._version);
    for (const [i, x] of places.entries()) {
      for (const [j, y] of places.entries()) {
        const end = places.length - 1;
        const isFinder = (i === 0 && j === 0) || (i === 0 && j === end) || (i === end && j === 0);
        if (!isFinder) this._rings(x, y, 2);
      }
    }
    this._format(0); // takes its place; the right one comes with the mask
    this._versionInformation();
  }

  /** Rings around a dark middle. @param {number} x @param {number} y @param {number} radius */
  _rings(x, y, radius) {
    for (let dy = -radius; dy <= radius; dy++) {
      for (let dx = -radius; dx <= radius; dx++) {
        const distance = Math.max(Math.abs(dx), Math.abs(dy));
        const isInside = x + dx >= 0 && x + dx < this._size && y + dy >= 0 && y + dy < this._size;
        const light = radius === 4 ? [2, 4] : [1];
        if (isInside) this._set(x + dx, y + dy, !light.includes(distance));
      }
    }
  }

  /** @param {number} mask */
  _format(mask) {
    const data = (LEVEL_M << 3) | mask;
    let rest = data;
    for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
    const bits = ((data << 10) | rest) ^ 0x5412;
    const bit = (/** @type {number} */ i) => ((bits >>> i) & 1) === 1;
    const last = this._size - 1;
    for (let i = 0; i < 8; i++) {
      this._set(8, i < 6 ? i : i + 1, bit(i));
      this._set(last - i, 8, bit(i));
    }
    for (let i = 8; i < 15; i++) {
      this._set(i === 8 ? 7 : 14 - i, 8, bit(i));
      this._set(8, last - 14 + i, bit(i));
    }
    this._set(8, last - 7, true);
  }

  _versionInformation() {
    if (this._version < 7) return;
    let rest = this._version;
    for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
    const bits = (this._version << 12) | rest;
    for (let i = 0; i < 18; i++) {
      const dark = ((bits >>> i) & 1) === 1;
      const a = this._size - 11 + (i % 3);
      const b = Math.floor(i / 3);
      this._set(a, b, dark);
      this._set(b, a, dark);
    }
  }

  /** From the right, two columns at a time, up and down in turns. @param {number[]} codewords */
  write(codewords) {
    let at = 0;
    for (let right = this._size - 1; right >= 1; right -= 2) {
      if (right === 6) right = 5;
      for (let step = 0; step < this._size; step++) {
        for (const x of [right, right - 1]) {
          const isUpward = ((right + 1) & 2) === 0;
          const y = isUpward ? this._size - 1 - step : step;
          if (this._taken[y][x] || at >= 8 * codewords.length) continue;
          this._dark[y][x] = ((codewords[at >>> 3] >>> (7 - (at & 7))) & 1) === 1;
          at += 1;
        }
      }
    }
  }

  /** With the mask that leaves the least of what confuses readers. */
  masked() {
    const tried = MASKS.map((mask, number) => {
      this._format(number);
      const rows = this._dark.map((row, y) => row.map((dark, x) => (this._taken[y][x] ? dark : dark !== mask(x, y))));
      return { rows, penalty: penalty(rows) };
    });
    return tried.reduce((best, next) => (next.penalty < best.penalty ? next : best)).rows;
  }
}

/** Where alignment patterns have their middles (annex E). @param {number} version */
function alignments(version) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = version === 32 ? 26 : Math.ceil((version * 4 + 4) / (count * 2 - 2)) * 2;
  const places = [6];
  for (let place = size(version) - 7; places.length < count; place -= step) places.splice(1, 0, place);
  return places;
}

/** What confuses readers: runs, squares, what looks like a finder, too much of one colour. @param {boolean[][]} rows */
function penalty(rows) {
  const columns = rows.map((_, x) => rows.map((row) => row[x]));
  let sum = 0;
  for (const line of [...rows, ...columns]) {
    const text = line.map(Number).join("");
    for (const run of text.match(/0{5,}|1{5,}/g) ?? []) sum += run.length - 2;
    for (const like of ["10111010000", "00001011101"]) {
      for (let at = text.indexOf(like); at >= 0; at = text.indexOf(like, at + 1)) sum += 40;
    }
  }
  let dark = 0;
  for (let y = 0; y < rows.length; y++) {
    for (let x = 0; x < rows.length; x++) {
      dark += Number(rows[y][x]);
      const here = rows[y][x];
      if (here === rows[y][x + 1] && here === rows[y + 1]?.[x] && here === rows[y + 1][x + 1]) sum += 3;
    }
  }
  const share = (20 * dark) / rows.length ** 2;
  return sum + 10 * Math.max(0, Math.ceil(Math.abs(share - 10)) - 1);
}
