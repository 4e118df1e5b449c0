// What a phone keeps until the bank has answered: scans with their ids, in the order they were made, and who was signed
// in last. It is all that is kept; no page and no balance is.
import { type DBSchema, type IDBPDatabase, openDB } from "idb";

/** One scan that waits, or was refused. It names its member, and no other session can send it. */
export interface Kept {
  sequence?: number;
  id: string;
  memberId: string;
  kind: "in" | "out";
  /** Where it goes, and what is sent, the same every time. */
  path: string;
  body: Record<string, unknown>;
  /** The phone's clock, for its owner to read. */
  madeAt: number;
  state: "waiting" | "refused";
  /** The page of the bank's answer. */
  answerAt: string;
  /** What its owner knows it by, beside the time. */
  label?: string;
  /** Why it was refused, in words. */
  reason?: string;
}

interface Schema extends DBSchema {
  scans: { key: number; value: Kept; indexes: { id: string } };
  owner: { key: string; value: string };
}

let opened: Promise<IDBPDatabase<Schema>> | null = null;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>("timebank", 1, {
    upgrade(db) {
      db.createObjectStore("scans", { keyPath: "sequence", autoIncrement: true }).createIndex("id", "id", { unique: true });
      db.createObjectStore("owner");
    },
    // Another tab has a newer page of ours: this connection must not stand in its way.
    blocking(_was, _next, event) {
      (event.target as IDBDatabase).close();
      opened = null;
    },
    terminated() {
      opened = null;
    },
  });
  // A browser that forbids it may allow it later.
  opened.catch(() => {
    opened = null;
  });
  return opened;
}

/** Keeps a scan; one that is kept already stays as it is. Fails where the browser keeps nothing. */
export async function keep(scan: Kept): Promise<void> {
  const db = await database();
  const change = db.transaction("scans", "readwrite", { durability: "strict" });
  if (!(await change.store.index("id").get(scan.id))) await change.store.add(scan);
  await change.done;
}

/** Everything that is kept, the first first. */
export async function all(): Promise<Kept[]> {
  return (await database()).getAll("scans");
}

/** Forgets a scan: the bank has answered, or its owner has read why it was refused. */
export async function forget(id: string): Promise<void> {
  const change = (await database()).transaction("scans", "readwrite");
  const key = await change.store.index("id").getKey(id);
  if (key !== undefined) await change.store.delete(key);
  await change.done;
}

/** Keeps with a scan why it was refused. */
export async function refuse(id: string, reason: string): Promise<void> {
  const change = (await database()).transaction("scans", "readwrite");
  const scan = await change.store.index("id").get(id);
  if (scan) await change.store.put({ ...scan, state: "refused", reason });
  await change.done;
}

/** Remembers the member who is signed in; "" when nobody is. */
export async function setOwner(memberId: string): Promise<void> {
  const db = await database();
  await (memberId ? db.put("owner", memberId, "last") : db.delete("owner", "last"));
}

/** The member who was signed in on this phone when it last had a network; "" when nobody was. */
export async function lastOwner(): Promise<string> {
  return (await (await database()).get("owner", "last")) ?? "";
}
