/**
 * The page itself: what `npm run build` put into dist/console/page, read once. Names come from
 * the folder, never from a request, so no path of a request can lead outside.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { TwillError } from "../../common/errors.ts";

export interface PageFile {
  readonly contentType: string;
  readonly body: Buffer;
  readonly etag: string;
}

const FOLDER = fileURLToPath(new URL("../../console/page/", import.meta.url));
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

/** By path of a request; throws FILE_FAILED when the page was not built. */
export async function readPageFiles(folder = FOLDER): Promise<ReadonlyMap<string, PageFile>> {
  const files = new Map<string, PageFile>();
  try {
    for (const name of await readdir(folder)) {
      const contentType = TYPES[extname(name)];
      if (contentType === undefined) continue;
      const body = await readFile(join(folder, name));
      const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
      files.set(`/${name}`, { contentType, body, etag });
    }
  } catch (error) {
    const message = `cannot read the console's page in ${folder}: npm run build makes it`;
    throw new TwillError("FILE_FAILED", message, { cause: error });
  }
  const index = files.get("/index.html");
  if (index === undefined) {
    throw new TwillError("FILE_FAILED", `${folder} holds no index.html: npm run build makes it`);
  }
  return files.set("/", index);
}
