// Which request goes to S3 next: parts of large files and small files share the same few slots, so that the link stays full and neither
// kind waits for the other to end.
//
// A small file is mostly delay: a preflight and an answer for few bytes. A part is mostly bytes: one or two of them fill what small files
// leave of the link, however many slots those have. So while both wait, small files have all slots but one in six, which parts have; and
// what is left when the small files are through are parts, which fill the link with all slots to the last byte.

/** @typedef {"small" | "part"} Kind */
/**
 * What waits for a slot.
 * @typedef {object} Claim
 * @property {Kind} kind
 * @property {number} bytes
 * @property {number} order That of its file among all files: parts of the earlier file go first, so that it is put together while the next goes.
 */
/**
 * How many requests may be under way at the same time: in all, and to each host. Earlier hosts are used first.
 * @typedef {object} Slots
 * @property {number} all
 * @property {{ name: string, most: number }[]} hosts
 */

// Files under way that still want slots, beyond those that have all of theirs. Small ones have their checksums worked out meanwhile, and a
// second large one has a part ready when the first has none left.
export const AHEAD = { small: 4, large: 2 };
const PARTS_ONE_IN = 6;
// What a small file counts at least: its delays cost as much as so many bytes.
const LEAST_COST = 2 ** 20;

// What these bytes of a part, or this small file, count as, in bytes.
/** @param {Pick<Claim, "kind" | "bytes">} work */
export const costOf = ({ kind, bytes }) => (kind === "part" ? bytes : Math.max(bytes, LEAST_COST));

/** @template {Claim} T @param {readonly T[]} waiting @param {Kind} kind @returns {T | null} */
const firstOf = (waiting, kind) => {
  /** @type {T | null} */
  let first = null;
  for (const claim of waiting) if (claim.kind === kind && (!first || claim.order < first.order)) first = claim;
  return first;
};

export class Schedule {
  /** @type {Record<Kind, number>} */
  #flying = { small: 0, part: 0 };
  /** @type {Map<string, number>} */
  #byHost = new Map();
  // Bytes by which parts were ahead while one slot was all there was.
  #ahead = 0;

  get used() {
    return this.#flying.small + this.#flying.part;
  }

  // Begin what goes next: the claim, and the host that it goes to. Null where nothing waits or nothing is free.
  /** @template {Claim} T @param {readonly T[]} waiting @param {Slots} slots @returns {{ claim: T, host: string } | null} */
  begin(waiting, { all, hosts }) {
    const host = hosts.find(({ name, most }) => this.#at(name) < most)?.name;
    if (host === undefined || this.used >= all) return null;
    const claim = this.#choose(firstOf(waiting, "small"), firstOf(waiting, "part"), all);
    if (!claim) return null;
    this.#flying[claim.kind] += 1;
    this.#byHost.set(host, this.#at(host) + 1);
    return { claim, host };
  }

  // Its slot is free again.
  /** @param {Claim} claim @param {string} host */
  end(claim, host) {
    this.#flying[claim.kind] -= 1;
    this.#byHost.set(host, this.#at(host) - 1);
  }

  /** @param {string} host */
  #at(host) {
    return this.#byHost.get(host) ?? 0;
  }

  /** @template {Claim} T @param {T | null} small @param {T | null} part @param {number} all */
  #choose(small, part, all) {
    if (!small || !part) {
      this.#ahead = 0;
      return small ?? part;
    }
    if (all < 2) return this.#inTurn(small, part);
    return this.#flying.part < Math.max(1, Math.floor(all / PARTS_ONE_IN)) ? part : small;
  }

  // With one slot for both, each kind has it for as long as the other.
  /** @template {Claim} T @param {T} small @param {T} part */
  #inTurn(small, part) {
    const claim = this.#ahead > 0 ? small : part;
    this.#ahead += claim === part ? costOf(part) : -costOf(small);
    return claim;
  }
}
