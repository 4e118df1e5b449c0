// What a result sounds and feels like. Words and colours say the same: this is for who looks elsewhere.

let sound: AudioContext | null = null;

/** Browsers let a page sound only after it was touched; opened early, it is there when it is wanted. */
for (const touched of ["pointerdown", "keydown"]) {
  addEventListener(touched, () => void wake(), { capture: true, passive: true });
}

async function wake(): Promise<void> {
  try {
    sound ??= new AudioContext();
    if (sound.state === "suspended") await sound.resume();
  } catch {
    // A machine without sound.
  }
}

function tone(hertz: number, from: number, seconds: number): void {
  if (!sound || sound.state !== "running") return;
  const source = sound.createOscillator();
  const volume = sound.createGain();
  const start = sound.currentTime + from;
  source.frequency.value = hertz;
  volume.gain.setValueAtTime(0.2, start);
  volume.gain.exponentialRampToValueAtTime(0.001, start + seconds);
  source.connect(volume).connect(sound.destination);
  source.start(start);
  source.stop(start + seconds);
}

/** One high tone and one tap for what is right, two low ones for what is not. */
export function signal(good: boolean): void {
  if (good) {
    tone(1046, 0, 0.15);
  } else {
    tone(220, 0, 0.18);
    tone(196, 0.22, 0.25);
  }
  // A page that nobody has touched yet may not.
  if (navigator.userActivation?.hasBeenActive ?? true) navigator.vibrate?.(good ? 60 : [90, 60, 90]);
}
