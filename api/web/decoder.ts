// Reads QR codes out of pictures. Large, and fetched only when a camera is opened; from here and from nowhere else.
import { prepareZXingModule, readBarcodes } from "zxing-wasm/reader";
import wasm from "zxing-wasm/reader/zxing_reader.wasm";

prepareZXingModule({ overrides: { locateFile: () => new URL(wasm, import.meta.url).href } });

/** What the code in the picture says; null when there is none. */
export async function decode(picture: ImageData): Promise<string | null> {
  const found = await readBarcodes(picture, { formats: ["QRCode"], tryHarder: true, maxNumberOfSymbols: 1 });
  return found.find((symbol) => symbol.isValid)?.text ?? null;
}
