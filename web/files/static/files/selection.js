// What is ticked: names, whichever page of the list they stand on.
export class Selection {
  /** @type {Set<string>} */
  names = new Set();
  /** @type {string | null} */
  #last = null;

  clear() {
    this.names.clear();
    this.#last = null;
  }

  /** @param {string} name */
  has(name) {
    return this.names.has(name);
  }

  // Tick or untick a row; with the shift key all between it and the last one as well. `shown` are the names on show.
  /** @param {string} name @param {boolean} is @param {{ isRange?: boolean, shown?: string[] }} [options] */
  set(name, is, { isRange = false, shown = [] } = {}) {
    const [from, to] = [shown.indexOf(this.#last ?? ""), shown.indexOf(name)].sort((one, other) => one - other);
    const names = isRange && from >= 0 ? shown.slice(from, to + 1) : [name];
    this.setAll(names, is);
    this.#last = name;
  }

  /** @param {Iterable<string>} names @param {boolean} is */
  setAll(names, is) {
    for (const name of names)
      if (is) this.names.add(name);
      else this.names.delete(name);
  }

  get files() {
    return [...this.names].filter((name) => !name.endsWith("/"));
  }
  get folders() {
    return [...this.names].filter((name) => name.endsWith("/"));
  }
}
