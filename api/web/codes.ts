// What a scan is, before it is sent anywhere: one of our own codes, or in words why it is none. Whether a code is
// genuine only the bank can say.

export type Kind = "station" | "poster" | "card" | "redemption" | "digits";

export type Reading =
  | { kind: Kind; code: string }
  | { wrong: "elsewhere"; host: string }
  | { wrong: "unknown" };

const addressPattern = /^([a-z]+):\/\/([^/?#]*)\/?([^?#]*)/i;
const letters: Record<string, Kind> = { K: "station", S: "poster", C: "card", R: "redemption" };
// By how many characters each has; the first is the version.
const lengths: Record<number, Kind> = { 32: "station", 24: "poster", 26: "card", 25: "redemption" };
const codePattern = /^1[0-9A-HJKMNP-TV-Z]+$/;

/** The bare code as the bank compares it: without blanks and hyphens, in upper case, O, I, L as 0, 1, 1. */
function bare(text: string): string {
  return text.replace(/[\s-]/g, "").toUpperCase().replace(/O/g, "0").replace(/[IL]/g, "1");
}

function nameOf(netloc: string): string {
  return netloc.replace(/:\d+$/, "").toLowerCase();
}

/** Reads a scan. `hosts` are the names that our codes may carry, in lower case and without ports. */
export function readCode(text: string, hosts: string[]): Reading {
  const address = addressPattern.exec(text.trim());
  if (!address) return readBare(text, null);
  const [, , netloc = "", path = ""] = address;
  if (!hosts.includes(nameOf(netloc))) return { wrong: "elsewhere", host: nameOf(netloc) };
  const [letter = "", code = "", ...rest] = path.split("/");
  const kind = letters[letter.toUpperCase()];
  return kind && !rest.length ? readBare(code, kind) : { wrong: "unknown" };
}

function readBare(text: string, promised: Kind | null): Reading {
  const code = bare(text);
  if (!promised && /^\d+$/.test(code) && (code.length === 6 || code.length === 8)) return { kind: "digits", code };
  const kind = codePattern.test(code) ? lengths[code.length] : undefined;
  return kind && (!promised || promised === kind) ? { kind, code } : { wrong: "unknown" };
}
