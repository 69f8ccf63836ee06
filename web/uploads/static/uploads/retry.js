// Trying again: with growing waits, for as long as it makes sense.
import { FileChanged } from "./checksums.js";

const MAX_TRIES = 8;
const MAX_RENEWALS = 3;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

const SLOW = new Set([429, 500, 502, 503, 504]);
// Something else was done with this name at the same moment. S3 asks to send the file again (API reference, PutObject).
export const isConflict = (error) => error.code === "ConditionalRequestConflict";

// Resolves after a while, or as soon as the connection is back.
const wait = (ms, signal) =>
  new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      window.removeEventListener("online", done);
      signal?.removeEventListener("abort", stop);
    };
    const done = () => {
      end();
      resolve();
    };
    const stop = () => {
      end();
      reject(new DOMException("Stopped.", "AbortError"));
    };
    const timer = setTimeout(done, ms);
    window.addEventListener("online", done);
    signal?.addEventListener("abort", stop);
  });

// Do `work` until it succeeds. `watch` is told what is waited for; `renew` is called before a try after expired credentials.
// A lost connection is waited for without end; what S3 answers is tried MAX_TRIES times; a refusal is thrown at once. A conflict is
// one too, unless `conflicts` says that the same request may succeed after it.
export const persist = async (work, care) => {
  const { signal, watch = () => {}, renew = () => {}, onSlow = () => {}, checkFile = async () => {}, conflicts = false } = care;
  let tries = 0;
  let renewals = 0;
  for (let waits = 0; ; waits += 1) {
    try {
      const result = await work();
      watch("");
      return result;
    } catch (error) {
      if (error.name === "AbortError" || error instanceof FileChanged) throw error;
      // A file that changed looks to the browser like a lost connection.
      await checkFile();
      if (error.isExpired && renewals < MAX_RENEWALS) {
        renewals += 1;
        renew();
        continue;
      }
      const isSlow = SLOW.has(error.status);
      if (!error.isConnection && !isSlow && !(conflicts && isConflict(error))) throw error;
      tries += error.isConnection ? 0 : 1;
      if (tries >= MAX_TRIES) throw error;
      if (!isConflict(error)) onSlow();
      const ms = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** waits) * (0.5 + Math.random() / 2);
      const trouble =
        error.code === "BeingMadeReady"
          ? `${error.message} Waiting for it.`
          : `S3 is busy or has trouble (${error.code}). Trying again.`;
      watch(error.isConnection ? "No connection. Waiting for it." : trouble);
      await wait(ms, signal);
    }
  }
};
