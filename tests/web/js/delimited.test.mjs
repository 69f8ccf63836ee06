import assert from "node:assert/strict";
import test from "node:test";
import { decode } from "../../../web/files/static/files/content.js";
import { guessDelimiter, parseRows } from "../../../web/files/static/files/delimited.js";

const ALL = { most: 100, isCut: false };
const rowsOf = (text, options = {}) => parseRows(text, ",", { ...ALL, ...options });

test("rows end with a line feed, a carriage return, both, or the text", () => {
  for (const end of ["\n", "\r", "\r\n"])
    assert.deepEqual(rowsOf(`a,b${end}c,d${end}`), {
      rows: [
        ["a", "b"],
        ["c", "d"],
      ],
      isWhole: true,
    });
  assert.deepEqual(rowsOf("a,b\nc,d").rows, [
    ["a", "b"],
    ["c", "d"],
  ]);
  assert.deepEqual(rowsOf("").rows, []);
});

test("a quoted field may hold the delimiter, ends of lines, and quotes that are doubled", () => {
  assert.deepEqual(rowsOf('"a,b","c\r\nd","say ""x"""\ne').rows, [["a,b", "c\r\nd", 'say "x"'], ["e"]]);
  assert.deepEqual(rowsOf('"",x').rows, [["", "x"]]);
});

test("a quote within a field is a quote", () => {
  assert.deepEqual(rowsOf('5" disk,a').rows, [['5" disk', "a"]]);
});

test("empty fields and empty lines stay", () => {
  assert.deepEqual(rowsOf(",\n\na,").rows, [["", ""], [""], ["a", ""]]);
});

test("a text that was cut off loses its last row, which may lack its end, and is not the whole", () => {
  assert.deepEqual(rowsOf("a,b\nc,d", { isCut: true }), { rows: [["a", "b"]], isWhole: false });
  assert.deepEqual(rowsOf('a,b\n"c', { isCut: true }), { rows: [["a", "b"]], isWhole: false });
});

test("no more rows are read than wanted, and that is said", () => {
  assert.deepEqual(rowsOf("a\nb\nc\n", { most: 2 }), { rows: [["a"], ["b"]], isWhole: false });
  assert.deepEqual(rowsOf("a\nb\n", { most: 2 }), { rows: [["a"], ["b"]], isWhole: true });
});

test("the delimiter is the one that the first line has most of", () => {
  assert.equal(guessDelimiter("a\tb,c\td\n,,,,,,"), "\t");
  assert.equal(guessDelimiter("a;b;c,d"), ";");
  assert.equal(guessDelimiter("a,b"), ",");
  assert.equal(guessDelimiter("one column\r\n1;2;3"), ",");
});

test("text is read by its mark, as UTF-8, or as what old programs write; what is none is not shown", () => {
  const bytes = (...numbers) => Uint8Array.from(numbers);
  assert.equal(decode(bytes(0xff, 0xfe, 0x61, 0), false), "a");
  assert.equal(decode(bytes(0xfe, 0xff, 0, 0x61), false), "a");
  assert.equal(decode(new TextEncoder().encode("µV"), false), "µV");
  assert.equal(decode(bytes(0xb5, 0x56), false), "µV");
  assert.equal(decode(bytes(0x50, 0x4b, 0, 3), false), null);
  // Cut off within a letter.
  assert.equal(decode(new TextEncoder().encode("Vµ").slice(0, 2), true), "V");
});
