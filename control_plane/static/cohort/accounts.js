// Says in the page why a passkey did not work; allauth's own script would tell the console alone.
/** @type {Record<string, string>} */
const WORDS = {
  NotAllowedError: "No passkey was given, or it took too long. Nothing was changed; try again, or sign in another way.",
  InvalidStateError: "This device or key is registered already. Nothing was changed.",
  SecurityError: "Passkeys need a secure address: https, or localhost. Nothing was changed.",
};

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const text =
    WORDS[event.detail.exception?.name ?? ""] ?? "The passkey did not work. Nothing was changed; try again, or use another way.";
  let place = document.getElementById("passkey-problem");
  if (!place) {
    place = document.createElement("div");
    place.className = "alert alert-warning mt-3";
    place.setAttribute("role", "alert");
    document.getElementById("main")?.append(place);
  }
  place.textContent = text;
  place.hidden = false;
});
