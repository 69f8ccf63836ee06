// Where the next pages of a list may begin, guessed from the one before. A guess may be wrong: it costs a request, and loses nothing.

// Digits in the order that S3 lists them in. Numbers, and the checksums and random names that are written as hexadecimal digits.
const DIGITS = ["0123456789", "0123456789abcdef", "0123456789ABCDEF"];
// So many digits are exact as a number of JavaScript's, in either way of writing.
const WIDTH = 12;
// Names between two guesses: fewer than a page brings, so that one page covers them.
const STRETCH = 940;

/** @param {string} one @param {string} other */
const commonLength = (one, other) => {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return length;
};

// The digits of `name` around this place, as far as they go: where they begin, and where they end.
/** @param {string} name @param {number} at @param {string} digits */
const runAround = (name, at, digits) => {
  let [begin, end] = [at, at];
  while (begin > 0 && at - begin < WIDTH / 2 && digits.includes(name[begin - 1])) begin -= 1;
  while (end < name.length && digits.includes(name[end])) end += 1;
  return [begin, end];
};

// Up to `most` names after `last`, with about `STRETCH` names from one to the next, if there are `count` from `first` to `last` and
// it goes on like that. S3 lists by name, so digits count from the left, like those after a point.
/** @param {{ first: string, last: string, count: number }} page @param {number} most @param {number} [stretch] @returns {string[]} */
export const guesses = ({ first, last, count }, most, stretch = STRETCH) => {
  const at = commonLength(first, last);
  const digits = DIGITS.find(
    (known) => at < last.length && known.includes(last[at]) && (at >= first.length || known.includes(first[at])),
  );
  if (!digits) return [];
  const base = digits.length;
  const [begin, end] = runAround(last, at, digits);
  /** @param {string} name @param {number} until */
  const valueOf = (name, until) => parseInt(name.slice(begin, Math.min(until, begin + WIDTH)).padEnd(WIDTH, "0"), base);
  const value = valueOf(last, end);
  const step = Math.floor(((value - valueOf(first, runAround(first, at, digits)[1])) * stretch) / count);
  /** @type {string[]} */
  const found = [];
  for (let next = value + step; step > 0 && next < base ** WIDTH && found.length < most; next += step) {
    const written = next.toString(base).padStart(WIDTH, "0").replace(/0+$/, "");
    found.push(last.slice(0, begin) + (digits.includes("A") ? written.toUpperCase() : written));
  }
  return found;
};
