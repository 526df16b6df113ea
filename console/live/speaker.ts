/** Which controller the page listens to now: single questions go to the same one. */
let origin = location.origin;

export function hearFrom(speaker: string): void {
  origin = speaker;
}

/** As `fetch`, of a path of that controller; another replica's console wants the certificate too. */
export function askSpeaker(path: string, options: RequestInit = {}): Promise<Response> {
  return fetch(`${origin}${path}`, { credentials: "include", ...options });
}
