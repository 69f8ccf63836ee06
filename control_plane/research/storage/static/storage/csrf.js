// The token that every changing request carries. Signing in makes another one, also in another tab: it is read each time that it is needed.
// Django's documentation, "How to use Django's CSRF protection", section "Acquiring the token if CSRF_USE_SESSIONS and
// CSRF_COOKIE_HTTPONLY are False".
const COOKIE = /(?:^|;\s*)csrftoken=([^;]*)/;

// `given` is the one that came with the page, for a browser that does not show the cookie.
/** @param {string} given */
export const csrfToken = (given) => COOKIE.exec(globalThis.document?.cookie ?? "")?.[1] || given;
