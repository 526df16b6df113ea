/**
 * A real Chromium for the console's tests. Every page is watched: errors of its console, and
 * every request that leaves the origins it may speak to, fail the test that opened it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";

const PROGRAM = "/usr/bin/chromium";
const DEADLINE_MS = 30_000;
/** Nothing of Chromium's own may reach for the network. */
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface Watched {
  readonly page: Page;
  /** What it complained of so far. */
  readonly complaints: readonly string[];
  /** Origins it asked anything of. */
  readonly origins: ReadonlySet<string>;
}

export class Browser implements AsyncDisposable {
  readonly #context: BrowserContext;
  readonly #folder: string;

  private constructor(context: BrowserContext, folder: string) {
    this.#context = context;
    this.#folder = folder;
  }

  static async start(): Promise<Browser> {
    const folder = await mkdtemp(join(tmpdir(), "twill-browser-"));
    const context = await chromium.launchPersistentContext(folder, {
      executablePath: PROGRAM,
      headless: true,
      args: ARGS,
      viewport: { width: 1280, height: 860 },
      timeout: 2 * DEADLINE_MS,
    });
    context.setDefaultTimeout(DEADLINE_MS);
    return new Browser(context, folder);
  }

  async open(url: string): Promise<Watched> {
    const page = await this.#context.newPage();
    const complaints: string[] = [];
    const origins = new Set<string>();
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => origins.add(new URL(request.url()).origin));
    await page.goto(url, { waitUntil: "domcontentloaded" });
    return { page, complaints, origins };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
