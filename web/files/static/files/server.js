// What the file browser asks the control plane.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.name = "Refused";
    this.status = status;
  }
}

export class Server {
  #settings;

  constructor(settings) { this.#settings = settings; }

  session() { return this.#post(this.#settings.session, {}); }
  remove(keys) { return this.#post(this.#settings.delete, { keys }); }
  restore(items) { return this.#post(this.#settings.restore, { items }); }

  async #post(address, body) {
    let answer;
    try {
      answer = await fetch(address, {
        method: "POST",
        headers: { "content-type": "application/json", "x-csrftoken": this.#settings.token },
        body: JSON.stringify(body),
        cache: "no-store",
      });
    } catch {
      throw new Refused(0, "The site does not answer.");
    }
    if (answer.ok) return answer.json();
    if (answer.status === 401) throw new Refused(401, "You are signed out. Load the page again to sign in.");
    const detail = await answer.json().then((it) => it.detail, () => "");
    throw new Refused(answer.status, typeof detail === "string" && detail ? detail : `The site answered with status ${answer.status}.`);
  }
}
