// Exact times on hover in the reader's own zone, a log that stays at its end while it is read there, and the offline notice.
/** @param {Document} root */
const localTimes = (root) => {
  /** @type {NodeListOf<HTMLTimeElement>} */
  const times = root.querySelectorAll("time[datetime]");
  for (const time of times) time.title = new Date(time.dateTime).toLocaleString();
};

const logAtEnd = () => {
  const log = document.getElementById("log");
  return !log || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
};

let follow = true;
document.addEventListener("htmx:beforeSwap", () => {
  follow = logAtEnd();
});
document.addEventListener("htmx:afterSettle", () => {
  localTimes(document);
  const log = document.getElementById("log");
  if (log && follow) log.scrollTop = log.scrollHeight;
});

// Signing in makes another token, also in another tab: what a page posts carries the one of now, not the one that it was loaded with.
document.addEventListener("htmx:configRequest", ({ detail: { parameters } }) => {
  const token = /(?:^|;\s*)csrftoken=([^;]*)/.exec(document.cookie)?.[1];
  if (token && parameters.csrfmiddlewaretoken) parameters.csrfmiddlewaretoken = token;
});

/** @param {boolean} is */
const offline = (is) => {
  /** @type {HTMLElement} */ (document.getElementById("offline")).hidden = !is;
};
document.addEventListener("htmx:sendError", () => offline(true));
document.addEventListener("htmx:responseError", (event) => {
  // Signed out, or no longer allowed: the whole page says it better than a part that stands still.
  if ([401, 403].includes(event.detail.xhr.status)) window.location.reload();
  else offline(true);
});
document.addEventListener("htmx:afterOnLoad", () => offline(false));

localTimes(document);
const log = document.getElementById("log");
if (log) log.scrollTop = log.scrollHeight;
