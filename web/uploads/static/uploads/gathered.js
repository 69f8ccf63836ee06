// Gathers single questions into few: `ask` gets a list and gives a list in the same order. The first are soon asked, and while more
// come they wait twice as long each time: of few the answer is there at once, and of thousands there are few requests.
/** @template Item @template Answer */
export class Gathered {
  /** @type {(items: Item[]) => Promise<Answer[]>} */
  #ask;
  #most;
  #first;
  #longest;
  #wait;
  /** @type {{ item: Item, resolve: (answer: Answer) => void, reject: (error: Error) => void }[]} */
  #held = [];
  /** @type {number | undefined} */
  #timer;

  /** @param {(items: Item[]) => Promise<Answer[]>} ask @param {{ most: number, wait: number, longest: number }} limits `wait`: milliseconds. */
  constructor(ask, { most, wait, longest }) {
    this.#ask = ask;
    this.#most = most;
    this.#first = this.#wait = wait;
    this.#longest = longest;
  }

  // `isLast`: nothing else will come soon, so nothing is waited for.
  /** @param {Item} item @param {boolean} [isLast] @returns {Promise<Answer>} */
  put(item, isLast = false) {
    return new Promise((resolve, reject) => {
      this.#held.push({ item, resolve, reject });
      if (isLast) this.#wait = this.#first;
      if (isLast || this.#held.length >= this.#most) this.#flush();
      else this.#timer ??= setTimeout(() => this.#waited(), this.#wait);
    });
  }

  #waited() {
    this.#wait = Math.min(2 * this.#wait, this.#longest);
    this.#flush();
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
