// What a kiosk keeps on the tablet: who it is, the keys of the hours to come, how far the bank's clock is ahead, what it
// showed last, and cards that wait for the network. Keys are kept so that no script can read them, ours included.
import { openDB, type DBSchema, type IDBPDatabase } from "idb";

/** Who this tablet is. */
export interface Self {
  id: string;
  number: number;
  station: number;
  key: CryptoKey;
}

export interface Present {
  name: string;
  started_at: string;
}

export interface Shift {
  starts_at: string;
  ends_at: string;
  people: number;
  capacity: number | null;
}

/** What the bank told last. */
export interface Board {
  now: string;
  device_number: number;
  station_number: number;
  name_zh: string;
  name_en: string;
  state: string;
  address: string;
  people: Present[];
  shifts: Shift[];
}

/** A card that was scanned. `refusal` is why the bank did not take it. No PIN is ever kept. */
export interface Scan {
  id: string;
  kind: "in" | "out";
  code: string;
  scanned_at: string;
  refusal?: string;
}

interface Kept extends DBSchema {
  self: { key: "self"; value: Self };
  keys: { key: number; value: CryptoKey };
  facts: { key: "board"; value: Board } | { key: "clock"; value: { ahead: number; seen: number } };
  scans: { key: string; value: Scan };
}

let opened: Promise<IDBPDatabase<Kept>> | undefined;

export function kept(): Promise<IDBPDatabase<Kept>> {
  opened ??= openDB<Kept>("timebank-kiosk", 1, {
    upgrade(database) {
      database.createObjectStore("self");
      database.createObjectStore("keys");
      database.createObjectStore("facts");
      database.createObjectStore("scans", { keyPath: "id" });
    },
  });
  return opened;
}

/** Forget the keys, and what was shown: the bank has ended this kiosk. What waits to be sent is kept to be seen. */
export async function forget(): Promise<void> {
  const store = await kept();
  const change = store.transaction(["self", "keys", "facts"], "readwrite");
  await Promise.all([
    change.objectStore("self").clear(),
    change.objectStore("keys").clear(),
    change.objectStore("facts").clear(),
    change.done,
  ]);
}

/** Put the hours that were handed out in place of the same ones of before. */
export async function keepHours(hours: { hour: number; key: string }[]): Promise<void> {
  const made = await Promise.all(
    hours.map(async ({ hour, key }) => {
      const bytes = Uint8Array.from(atob(key), (character) => character.charCodeAt(0));
      const hidden = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
      return [hour, hidden] as const;
    }),
  );
  const change = (await kept()).transaction("keys", "readwrite");
  await Promise.all([...made.map(([hour, key]) => change.store.put(key, hour)), change.done]);
}

/** Delete the keys of the hours before this one: what is spent is of use to a thief only. */
export async function dropHoursBefore(hour: number): Promise<void> {
  await (await kept()).delete("keys", IDBKeyRange.upperBound(hour, true));
}
