// The camera beside a field that takes codes. What it reads goes into the field, as if it had been typed, and on from
// there in the page's own way; a code that is not ours is told in words, and the camera goes on.
import { type Kind, type Reading, readCode } from "./codes";
import { signal } from "./feedback";
import { need } from "./page";

interface Words {
  good: string;
  unknown: string;
  elsewhere: string;
  denied: string;
  missing: string;
  starting: string;
  looking: string;
  kinds: Record<Kind, string>;
}

// Between two looks, so that a slow phone stays usable.
const pauseMilliseconds = 120;
// The same code counts again after it was out of sight for so long.
const forgetMilliseconds = 2_500;
const widestPixels = 1920;
// Across a page that is loaded anew after each scan.
const remembered = "timebank-camera";

class Scanner {
  private readonly words: Words;
  private readonly hosts: string[];
  private readonly wants: string[];
  private readonly video: HTMLVideoElement;
  private readonly canvas = document.createElement("canvas");
  private stream: MediaStream | null = null;
  private seen = "";
  private seenAt = 0;

  constructor(readonly panel: HTMLElement) {
    this.words = JSON.parse(panel.dataset.words ?? "{}") as Words;
    this.hosts = [...(panel.dataset.hosts ?? "").split(" "), location.hostname];
    this.wants = (panel.dataset.wants ?? "").split(" ");
    this.video = need<HTMLVideoElement>("video", panel);
    this.part("open").addEventListener("click", () => void this.open());
    this.part("close").addEventListener("click", () => this.close());
    this.part("light").addEventListener("click", () => void this.toggleLight());
    if (sessionStorage.getItem(remembered) === location.pathname) void this.open();
  }

  private part(name: string): HTMLElement {
    return need(`[data-part=${name}]`, this.panel);
  }

  async open(): Promise<void> {
    if (this.stream) return;
    this.say("wait", this.words.starting);
    try {
      // Over an open line there are no cameras: this fails like one that is not there.
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: { ideal: "environment" }, width: { ideal: 1920 }, height: { ideal: 1080 } },
      });
    } catch (error) {
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      sessionStorage.removeItem(remembered);
      this.say("bad", denied ? this.words.denied : this.words.missing);
      return;
    }
    sessionStorage.setItem(remembered, location.pathname);
    this.part("view").hidden = false;
    this.part("open").hidden = true;
    this.part("light").hidden = !this.hasLight();
    this.video.srcObject = this.stream;
    await this.play();
    this.say("wait", this.words.looking);
    void this.look(this.stream);
  }

  close(): void {
    sessionStorage.removeItem(remembered);
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    this.part("view").hidden = true;
    this.part("open").hidden = false;
    this.say("", "");
  }

  /** A video that was moved within the page, or came back from behind another one, stands still until it is told. */
  async play(): Promise<void> {
    try {
      await this.video.play();
    } catch {
      // Interrupted by the next one, or by the page's end.
    }
  }

  private get track(): MediaStreamTrack | undefined {
    return this.stream?.getVideoTracks()[0];
  }

  private hasLight(): boolean {
    const can = this.track?.getCapabilities?.() as { torch?: boolean } | undefined;
    return can?.torch === true;
  }

  private async toggleLight(): Promise<void> {
    const button = this.part("light");
    const on = button.getAttribute("aria-pressed") !== "true";
    try {
      await this.track?.applyConstraints({ advanced: [{ torch: on } as MediaTrackConstraintSet] });
      button.setAttribute("aria-pressed", String(on));
    } catch {
      button.hidden = true;
    }
  }

  private async look(stream: MediaStream): Promise<void> {
    const decode = await this.decoder();
    while (decode && this.stream === stream) {
      const picture = document.hidden ? null : this.picture();
      const text = picture ? await decode(picture).catch(() => null) : null;
      if (this.stream === stream && text) this.take(text);
      await new Promise((next) => setTimeout(next, pauseMilliseconds));
    }
  }

  /** What reads codes; fetched now, and null where there is no network and it was never fetched before. */
  private async decoder(): Promise<((picture: ImageData) => Promise<string | null>) | null> {
    try {
      return (await import("./decoder")).decode;
    } catch {
      this.close();
      this.say("bad", this.words.missing);
      return null;
    }
  }

  private picture(): ImageData | null {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth || this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
    const scale = Math.min(1, widestPixels / videoWidth);
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    const drawing = this.canvas.getContext("2d", { willReadFrequently: true });
    drawing?.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    return drawing?.getImageData(0, 0, this.canvas.width, this.canvas.height) ?? null;
  }

  private take(text: string): void {
    const now = performance.now();
    const again = text === this.seen && now - this.seenAt < forgetMilliseconds;
    this.seen = text;
    this.seenAt = now;
    if (!again) this.judge(text, readCode(text, this.hosts));
  }

  private judge(text: string, reading: Reading): void {
    if ("wrong" in reading) {
      const { elsewhere, unknown } = this.words;
      this.refuse(reading.wrong === "elsewhere" ? elsewhere.replace("{host}", reading.host) : unknown);
    } else if (!this.wants.includes(reading.kind)) {
      this.refuse(this.words.kinds[reading.kind]);
    } else {
      signal(true);
      this.say("good", this.words.good);
      this.hand(text);
    }
  }

  private refuse(words: string): void {
    signal(false);
    this.say("bad", words);
  }

  private hand(text: string): void {
    const field = document.querySelector<HTMLInputElement>("[data-scan]");
    if (!field) return;
    field.value = text;
    if (this.panel.dataset.sends === "yes") field.form?.requestSubmit();
    else field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  private say(result: string, words: string): void {
    this.panel.dataset.result = result;
    this.part("words").textContent = words;
  }
}

let scanner: Scanner | null = null;

function begin(): void {
  const panel = document.querySelector<HTMLElement>("[data-scanner]");
  if (panel) scanner = new Scanner(panel);
}

// The page has changed in place: the open camera moves over.
document.addEventListener("replaced", () => {
  const place = document.querySelector<HTMLElement>("[data-scanner]");
  if (!place || !scanner) return;
  place.replaceWith(scanner.panel);
  void scanner.play();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void scanner?.play();
});
begin();
