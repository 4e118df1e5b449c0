// The station's codes, as a kiosk makes them by itself: the same bytes as `timebank/codes.py`, under the keys that the
// bank has handed out for each hour.
import qrcode from "qrcode-generator";

export const slotMilliseconds = 20_000;
const slotsPerHour = 180;
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const text = new TextEncoder();
// ISO/IEC 18004 asks for four modules of white all round.
const quietModules = 4;

/** A code's picture: `side` modules wide with its white border, and a path that fills the dark ones. */
export interface Picture {
  side: number;
  path: string;
}

export const slotAt = (now: number): number => Math.floor(now / slotMilliseconds);
export const hourOf = (slot: number): number => Math.floor(slot / slotsPerHour);

/** A number in exactly so many characters of Crockford's base32, most significant first. */
function encode(value: bigint, length: number): string {
  let spelt = "";
  for (let shift = 5 * (length - 1); shift >= 0; shift -= 5) spelt += alphabet[Number((value >> BigInt(shift)) & 31n)];
  return spelt;
}

async function digest(key: CryptoKey, signed: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, text.encode(signed)));
}

const numberOf = (bytes: Uint8Array): bigint => bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);

/** The code of one slot. */
export async function stationCode(key: CryptoKey, station: number, device: number, slot: number): Promise<string> {
  const body = `1${encode(BigInt(station), 4)}${encode(BigInt(device), 5)}${encode(BigInt(slot), 6)}`;
  return body + encode(numberOf((await digest(key, `station\0${body}`)).slice(0, 10)), 16);
}

/** The six digits that stand beside it. */
export async function stationDigits(key: CryptoKey, station: number, device: number, slot: number): Promise<string> {
  const found = numberOf((await digest(key, `digits\0${station}\0${device}\0${slot}`)).slice(0, 8));
  return String(found % 1_000_000n).padStart(6, "0");
}

/** The picture of a text at level Q, as the bank's own. */
export function draw(words: string): Picture {
  const code = qrcode(0, "Q");
  code.addData(words, /^[0-9A-Z $%*+\-./:]*$/.test(words) ? "Alphanumeric" : "Byte");
  code.make();
  const count = code.getModuleCount();
  let path = "";
  for (let row = 0; row < count; row += 1) {
    for (let column = 0; column < count; column += 1) {
      let wide = 0;
      while (column + wide < count && code.isDark(row, column + wide)) wide += 1;
      if (wide) path += `M${column + quietModules} ${row + quietModules}h${wide}v1h-${wide}z`;
      column += wide;
    }
  }
  return { side: count + 2 * quietModules, path };
}
