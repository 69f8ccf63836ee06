// CRC-32 of files: worked out piece by piece in workers, and put together to that of the whole.

// The file cannot be read any more as it was when it was chosen.
export class FileChanged extends Error {
  // `isFinal`: the browser never reads this file again, though one may add it again.
  constructor(isFinal = true) {
    super("The file changed on the disk, or cannot be read any more. It is not complete; add it again.");
    this.name = "FileChanged";
    this.isFinal = isFinal;
  }
}

export class Checksums {
  /** @type {Worker[]} */
  #workers;
  /** @type {Map<number, { resolve: (answer: ChecksumAnswer) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  #next = 0;

  /** @param {string} workerUrl @param {string[]} scriptUrls @param {number} [count] */
  constructor(workerUrl, scriptUrls, count = 2) {
    this.#workers = Array.from({ length: count }, () => {
      const worker = new Worker(workerUrl);
      worker.postMessage({ scripts: scriptUrls });
      worker.onmessage = ({ data }) => {
        const waiting = this.#waiting.get(data.id);
        this.#waiting.delete(data.id);
        if (data.error) waiting?.reject(new FileChanged());
        else waiting?.resolve(data);
      };
      return worker;
    });
  }

  // The CRC-32 of a blob, as a number.
  /** @param {Blob} blob */
  async of(blob) {
    return (await this.read(blob)).crc;
  }

  // {crc, md5, bytes} of a blob: the MD5 in hexadecimal and the bytes are those of a small one, else empty and null.
  /** @param {Blob} blob @returns {Promise<ChecksumAnswer>} */
  read(blob) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#workers[id % this.#workers.length].postMessage({ id, blob });
    });
  }
}

// As S3 writes it: the four bytes, highest first, in base64.
/** @param {number} crc */
export const toBase64 = (crc) => btoa(String.fromCharCode(crc >>> 24, (crc >>> 16) & 255, (crc >>> 8) & 255, crc & 255));

/** @param {number[]} matrix @param {number} vector */
const times = (matrix, vector) => {
  let sum = 0;
  for (let bit = 0; vector; bit += 1, vector >>>= 1) if (vector & 1) sum ^= matrix[bit];
  return sum >>> 0;
};
/** @param {number[]} matrix */
const square = (matrix) => matrix.map((column) => times(matrix, column));

// One zero bit fed into CRC-32, as a matrix over single bits; the polynomial is ISO 3309's, reflected.
const ONE_ZERO_BIT = [0xedb88320, ...Array.from({ length: 31 }, (_, bit) => 2 ** bit)];
// Entry n feeds 2^n zero bytes.
const ZERO_BYTES = [square(square(square(ONE_ZERO_BIT)))];

// The CRC-32 of two pieces one after the other, from theirs and the second one's length in bytes.
/** @param {number} first @param {number} second @param {number} length */
export const combine = (first, second, length) => {
  let crc = first;
  for (let power = 0, rest = length; rest > 0; power += 1, rest = Math.floor(rest / 2)) {
    if (!ZERO_BYTES[power]) ZERO_BYTES[power] = square(ZERO_BYTES[power - 1]);
    if (rest % 2) crc = times(ZERO_BYTES[power], crc);
  }
  return (crc ^ second) >>> 0;
};
