// Comma- or tab-separated text as rows of fields, with quotes as RFC 4180 has them.

class Reader {
  /** @type {string[][]} */
  rows = [];
  #text;
  #delimiter;
  /** @type {string[]} */
  #row = [];
  #field = "";

  /** @param {string} text @param {string} delimiter */
  constructor(text, delimiter) {
    this.#text = text;
    this.#delimiter = delimiter;
  }

  // The last row was begun and not ended.
  get isOpen() {
    return this.#row.length > 0 || this.#field !== "";
  }

  // Take what stands at this index. Gives where it goes on.
  /** @param {number} index @returns {number} */
  take(index) {
    const character = this.#text[index];
    if (character === '"' && this.#field === "") return this.#quoted(index + 1);
    if (character === this.#delimiter) this.#endField();
    else if (character === "\n" || character === "\r") this.endRow();
    else this.#field += character;
    return index + (this.#text.startsWith("\r\n", index) ? 2 : 1);
  }

  endRow() {
    this.#endField();
    this.rows.push(this.#row);
    this.#row = [];
  }

  #endField() {
    this.#row.push(this.#field);
    this.#field = "";
  }

  // What follows an opening quote, in which two quotes are one.
  /** @param {number} start */
  #quoted(start) {
    let index = start;
    for (; index < this.#text.length; index += 1) {
      if (this.#text[index] === '"') {
        if (this.#text[index + 1] !== '"') return index + 1;
        index += 1;
      }
      this.#field += this.#text[index];
    }
    return index;
  }
}

// Up to `most` rows. A text that was cut off loses its last row, which may lack its end.
/** @param {string} text @param {string} delimiter @param {{ most: number, isCut: boolean }} limits */
export const parseRows = (text, delimiter, { most, isCut }) => {
  const reader = new Reader(text, delimiter);
  let index = 0;
  while (index < text.length && reader.rows.length < most) index = reader.take(index);
  if (reader.rows.length < most && !isCut && reader.isOpen) reader.endRow();
  return { rows: reader.rows, isWhole: index >= text.length && !isCut };
};

// The delimiter that the first line has most of; a .tsv is not always one.
/** @param {string} text */
export const guessDelimiter = (text) => {
  const line = text.slice(0, text.search(/[\r\n]|$/));
  /** @param {string} character */
  const often = (character) => line.split(character).length;
  return ["\t", ";", ","].reduce((best, character) => (often(character) > often(best) ? character : best), ",");
};
