// A link to S3 that needs no time to simulate: requests share its rate, and each has delays before and after its bytes.

// Numbers between 0 and 1 that are the same each time.
const randomOf = (seed) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
};

const TELL_EVERY = 0.05;
const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);

// Rates are bytes a second; delays are seconds: `before` the bytes go (a preflight, and the request itself), and `after` them (the answer).
// Each delay varies by a third, as on any network: otherwise all requests would wait and send in step.
export class Link {
  now = 0;
  bytes = 0;
  // Seconds in which nothing went though there was something to send: in all, and the longest time of them.
  idle = 0;
  longestIdle = 0;
  #random = randomOf(1);
  #requests = new Set();
  #idleSince = 0;

  constructor({ rate, before, after, perRequest = rate }) {
    Object.assign(this, { rate, before, after, perRequest });
  }

  // Begin a request of so many bytes. `end` is called when it is answered, `progress` with the bytes that have left.
  // A request without bytes takes `seconds`, and nothing of the link. Gives what stops it.
  request(bytes, end, progress = () => {}, seconds = 0) {
    const delay = bytes || !seconds ? this.#varied(this.before) : seconds;
    const phase = bytes ? "before" : "after";
    const request = { phase, until: this.now + delay, bytes, left: bytes, end, progress };
    this.#requests.add(request);
    return () => this.#requests.delete(request);
  }

  get isBusy() {
    return this.#requests.size > 0;
  }

  // Go on to what happens next. `hasWork`: whether there is anything to send.
  step(hasWork = true) {
    const sending = [...this.#requests].filter(({ phase }) => phase === "data");
    const share = Math.min(this.perRequest, this.rate / sending.length);
    // Browsers tell of progress now and then.
    const ends = [...this.#requests].map((request) => (request.phase === "data" ? this.now + request.left / share : request.until));
    const next = Math.min(...ends, sending.length ? this.now + TELL_EVERY : Infinity);
    this.#count(sending.length, next, hasWork);
    const carried = share * (next - this.now);
    this.now = next;
    this.bytes += sending.length ? sending.length * carried : 0;
    for (const request of sending) {
      request.left -= carried;
      request.progress(request.bytes - request.left);
    }
    [...this.#requests].forEach((request, at) => {
      if (ends[at] <= next) this.#advance(request);
    });
  }

  #count(sending, next, hasWork) {
    if (sending || !hasWork) {
      this.#idleSince = next;
      return;
    }
    this.idle += next - this.now;
    this.longestIdle = Math.max(this.longestIdle, next - this.#idleSince);
  }

  #advance(request) {
    if (request.phase === "before") {
      request.phase = "data";
    } else if (request.phase === "data") {
      request.phase = "after";
      request.until = this.now + this.#varied(this.after);
    } else {
      this.#requests.delete(request);
      request.end();
    }
  }

  #varied(seconds) {
    return seconds * (2 / 3 + (2 / 3) * this.#random());
  }

  // Seconds that no schedule can go below: neither the link is faster, nor so many requests side by side.
  least(sizes, slots) {
    const bytes = sum(sizes);
    const held = sum(sizes.map((size) => this.#delay + size / this.perRequest));
    return Math.max(bytes / this.rate, held / slots, this.#alike(sizes, slots));
  }

  get #delay() {
    return this.before + this.after;
  }

  // Where all are of one size, it is known how much they hinder each other on the link: mean value analysis of a closed network
  // (Reiser and Lavenberg 1980), of `slots` customers that are delayed and then share one server.
  #alike(sizes, slots) {
    if (new Set(sizes).size !== 1) return 0;
    const service = sizes[0] / this.rate;
    let queue = 0;
    let each = 0;
    for (let customers = 1; customers <= slots; customers += 1) {
      const response = service * (1 + queue);
      each = (this.#delay + response) / customers;
      queue = response / each;
    }
    return sizes.length * each;
  }
}
