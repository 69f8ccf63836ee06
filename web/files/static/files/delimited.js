// Comma- or tab-separated text as rows of fields, with quotes as RFC 4180 has them.

// Up to `most` rows. A text that was cut off loses its last row, which may lack its end.
export const parseRows = (text, delimiter, { most, isCut }) => {
  const rows = [];
  let row = [];
  let field = "";
  let isQuoted = false;
  const endField = () => {
    row.push(field);
    field = "";
  };
  const endRow = () => {
    endField();
    rows.push(row);
    row = [];
  };
  let index = 0;
  for (; index < text.length && rows.length < most; index += 1) {
    const character = text[index];
    if (isQuoted) {
      if (character !== '"') field += character;
      else if (text[index + 1] === '"') {
        field += '"';
        index += 1;
      } else isQuoted = false;
    } else if (character === '"' && field === "") isQuoted = true;
    else if (character === delimiter) endField();
    else if (character === "\n" || character === "\r") {
      if (character === "\r" && text[index + 1] === "\n") index += 1;
      endRow();
    } else field += character;
  }
  if (rows.length < most && !isCut && (row.length || field)) endRow();
  return { rows, isWhole: index >= text.length && !isCut };
};

// The delimiter that the first line has most of; a .tsv is not always one.
export const guessDelimiter = (text) => {
  const line = text.slice(0, text.search(/[\r\n]|$/));
  const often = (character) => line.split(character).length;
  return ["\t", ";", ","].reduce((best, character) => (often(character) > often(best) ? character : best), ",");
};
