// Gathers single questions into few: `ask` gets a list and gives a list in the same order.
/** @template Item @template Answer */
export class Gathered {
  /** @type {(items: Item[]) => Promise<Answer[]>} */
  #ask;
  #most;
  #wait;
  /** @type {{ item: Item, resolve: (answer: Answer) => void, reject: (error: Error) => void }[]} */
  #held = [];
  /** @type {number | undefined} */
  #timer;

  /** @param {(items: Item[]) => Promise<Answer[]>} ask @param {{ most: number, wait: number }} limits */
  constructor(ask, { most, wait }) {
    this.#ask = ask;
    this.#most = most;
    this.#wait = wait;
  }

  // `isLast`: nothing else will come soon, so nothing is waited for.
  /** @param {Item} item @param {boolean} [isLast] @returns {Promise<Answer>} */
  put(item, isLast = false) {
    return new Promise((resolve, reject) => {
      this.#held.push({ item, resolve, reject });
      if (isLast || this.#held.length >= this.#most) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), this.#wait);
    });
  }

  async #flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const asked = this.#held.splice(0, this.#most);
    if (this.#held.length) this.#timer = setTimeout(() => this.#flush(), 0);
    try {
      const answers = await this.#ask(asked.map(({ item }) => item));
      asked.forEach(({ resolve }, index) => resolve(answers[index]));
    } catch (error) {
      asked.forEach(({ reject }) => reject(error));
    }
  }
}
