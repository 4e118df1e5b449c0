// Passkeys: the device makes a key pair for this bank, or signs with one. What it is asked comes from the bank, and what
// it answers goes back there; nothing is decided here.
import { fetchWithin, need } from "./page";

const patienceMilliseconds = 15_000;

const bytes = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));

function text(buffer: ArrayBuffer | null): string {
  const plain = Array.from(new Uint8Array(buffer ?? new ArrayBuffer(0)), (byte) => String.fromCharCode(byte)).join("");
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/** What the bank said instead of doing it, in the reader's words. */
class Refused extends Error {}

interface Challenge {
  challenge: string;
  rp_id: string;
  seconds: number;
}

interface Invitation extends Challenge {
  user: string;
  user_name: string;
  algorithms: number[];
  known: string[];
}

function follow(form: HTMLFormElement): void {
  const notice = need("[data-notice]", form);
  const button = need<HTMLButtonElement>("button", form);
  const signsIn = form.dataset.passkey === "sign-in";

  const value = (name: string): string => need<HTMLInputElement>(`[name=${name}]`, form).value;

  function tell(words: string): void {
    notice.hidden = false;
    need("[data-words]", notice).textContent = words;
  }

  async function post<Answer>(path: string, body: unknown): Promise<Answer> {
    const answer = await fetchWithin(patienceMilliseconds, `/api/v1/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": value("csrf") },
      body: JSON.stringify(body),
    });
    const said = (await answer.json()) as Answer & { detail: string };
    if (!answer.ok) throw new Refused(said.detail);
    return said;
  }

  async function signIn(): Promise<void> {
    const asked = await post<Challenge>("passkey-challenges", {});
    const found = (await navigator.credentials.get({
      publicKey: {
        challenge: bytes(asked.challenge),
        rpId: asked.rp_id,
        timeout: asked.seconds * 1000,
        userVerification: "required",
      },
    })) as PublicKeyCredential;
    const signed = found.response as AuthenticatorAssertionResponse;
    await post("passkey-sessions", {
      credential: text(found.rawId),
      client_data: text(signed.clientDataJSON),
      authenticator_data: text(signed.authenticatorData),
      signature: text(signed.signature),
      user: text(signed.userHandle),
    });
  }

  async function add(): Promise<void> {
    const asked = await post<Invitation>("me/passkey-challenges", {});
    const made = (await navigator.credentials.create({
      publicKey: {
        challenge: bytes(asked.challenge),
        rp: { id: asked.rp_id, name: document.title },
        user: { id: bytes(asked.user), name: asked.user_name, displayName: asked.user_name },
        pubKeyCredParams: asked.algorithms.map((alg) => ({ type: "public-key", alg })),
        excludeCredentials: asked.known.map((id) => ({ type: "public-key", id: bytes(id) })),
        authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
        attestation: "none",
        timeout: asked.seconds * 1000,
      },
    })) as PublicKeyCredential;
    const response = made.response as AuthenticatorAttestationResponse;
    await post("me/passkeys", {
      id: value("id"),
      name: value("name"),
      credential: text(made.rawId),
      client_data: text(response.clientDataJSON),
      attestation: text(response.attestationObject),
    });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    notice.hidden = true;
    button.disabled = true;
    (signsIn ? signIn() : add())
      .then(() => location.assign(form.dataset.next ?? "/"))
      .catch((error: unknown) => tell(error instanceof Refused ? error.message : (form.dataset.failed ?? "")))
      .finally(() => {
        button.disabled = false;
        // Somebody may try as often as it takes: nothing was sent as a form.
        delete form.dataset.sent;
      });
  });

  const known = "credentials" in navigator && "PublicKeyCredential" in window;
  if (!known) {
    form.hidden = signsIn;
    tell(form.dataset.missing ?? "");
  }
}

for (const form of document.querySelectorAll<HTMLFormElement>("form[data-passkey]")) follow(form);
