// Names of files with what cannot be seen in them as its number, so that none passes for another. As control_plane/base/visible.py.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2800]/gu;
// What turns the order of letters about; only these are dangerous in a name under which a file is saved.
const TURNING = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** @param {string} character */
const escaped = (character) => {
  const number = (character.codePointAt(0) ?? 0).toString(16);
  return number.length > 4 ? `\\u{${number}}` : `\\u${number.padStart(4, "0")}`;
};

/** @param {string} name */
export const visible = (name) => name.replace(UNSEEN, escaped);

// The same for text of many lines, such as a log: what makes its lines stays.
/** @param {string} text */
export const visibleLines = (text) =>
  text.replace(UNSEEN, (character) => ("\n\r\t".includes(character) ? character : escaped(character)));

// The name under which a browser saves a file.
/** @param {string} name */
export const savable = (name) => name.replace(TURNING, "_");
